# Models in a CMake project:
#
#   find_package(Weft REQUIRED)
#   add_executable(program main.c)
#   weft_add_model(program net.model WEIGHTS best.safetensors)
#
# weft_add_model(TARGET MODEL [WEIGHTS FILE|RUN] [NAME name] [TRAIN] [STREAM] [NO_EMBED] [SIZE]
#                [MULTIVERSION] [BATCH n] [TIME n] [TARGET target] [CPU cpu] [OPTIONS option...])
# compiles MODEL, a file or a run folder, when the project is built, and adds the object to
# TARGET, whose sources include "name.h"; name is MODEL's without its ending, if not given. The
# words are the options of `weft compile` (weft help compile); OPTIONS passes others on. A project
# that is compiled for another system than this one has to say TARGET.

set(WEFT_EXECUTABLE "${CMAKE_CURRENT_LIST_DIR}/../../../bin/weft")
if(NOT EXISTS "${WEFT_EXECUTABLE}")
  set(Weft_FOUND FALSE)
  set(Weft_NOT_FOUND_MESSAGE "there is no ${WEFT_EXECUTABLE}")
  return()
endif()
get_filename_component(WEFT_EXECUTABLE "${WEFT_EXECUTABLE}" REALPATH)
if(NOT TARGET Weft::weft)
  add_executable(Weft::weft IMPORTED)
  set_target_properties(Weft::weft PROPERTIES IMPORTED_LOCATION "${WEFT_EXECUTABLE}")
endif()

# The files that path stands for, itself or those of a run folder, into out; missing ones that no
# rule of this folder makes are an error.
function(_weft_files out path)
  if(IS_DIRECTORY "${path}")
    set(${out} "${path}/model.model" "${path}/best.safetensors" PARENT_SCOPE)
    if(NOT EXISTS "${path}/model.model" OR NOT EXISTS "${path}/best.safetensors")
      message(FATAL_ERROR "weft_add_model: ${path} is not a finished run folder")
    endif()
    return()
  endif()
  get_source_file_property(made "${path}" GENERATED)
  if(NOT EXISTS "${path}" AND NOT made)
    message(FATAL_ERROR "weft_add_model: there is no ${path}")
  endif()
  set(${out} "${path}" PARENT_SCOPE)
endfunction()

function(weft_add_model target model)
  set(flags TRAIN STREAM NO_EMBED SIZE MULTIVERSION)
  set(values BATCH TIME TARGET CPU)
  cmake_parse_arguments(PARSE_ARGV 2 arg "${flags}" "${values};WEIGHTS;NAME" OPTIONS)
  if(NOT TARGET "${target}")
    message(FATAL_ERROR "weft_add_model: there is no target ${target}")
  endif()
  if(arg_UNPARSED_ARGUMENTS OR arg_KEYWORDS_MISSING_VALUES)
    message(FATAL_ERROR "weft_add_model: what does '${arg_UNPARSED_ARGUMENTS}"
                        "${arg_KEYWORDS_MISSING_VALUES}' mean? There are WEIGHTS, NAME, ${flags}, "
                        "${values}, OPTIONS")
  endif()
  if(CMAKE_CROSSCOMPILING AND NOT arg_TARGET)
    message(FATAL_ERROR "weft_add_model: TARGET is missing, and this project is compiled for "
                        "another system (weft help compile lists the targets)")
  endif()
  get_filename_component(model "${model}" ABSOLUTE)
  _weft_files(needs "${model}")
  if(NOT arg_NAME)
    get_filename_component(arg_NAME "${model}" NAME_WLE)
  endif()

  set(options)
  if(arg_WEIGHTS)
    get_filename_component(arg_WEIGHTS "${arg_WEIGHTS}" ABSOLUTE)
    _weft_files(weights "${arg_WEIGHTS}")
    list(APPEND needs ${weights})
    list(APPEND options --weights "${arg_WEIGHTS}")
  endif()
  foreach(word IN LISTS flags values)
    string(TOLOWER "--${word}" option)
    string(REPLACE "_" "-" option "${option}")
    if(word IN_LIST flags AND arg_${word})
      list(APPEND options ${option})
    elseif(word IN_LIST values AND DEFINED arg_${word})
      list(APPEND options ${option} "${arg_${word}}")
    endif()
  endforeach()

  # A folder for each target: two may hold the same model in different forms.
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/weft/${target}")
  file(MAKE_DIRECTORY "${folder}")
  set(object "${folder}/${arg_NAME}.o")
  set(header "${folder}/${arg_NAME}.h")
  add_custom_command(
    OUTPUT "${object}" "${header}"
    COMMAND Weft::weft compile "${model}" ${options} ${arg_OPTIONS} -o "${object}"
    DEPENDS ${needs} "${WEFT_EXECUTABLE}"
    COMMENT "weft compile ${arg_NAME}" VERBATIM)
  set_source_files_properties("${object}" PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
  target_sources(${target} PRIVATE "${object}" "${header}")
  target_include_directories(${target} PRIVATE "${folder}")
endfunction()
