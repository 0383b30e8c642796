/* What a compiler may call where no C library is. */
void *memcpy(void *to, const void *from, __SIZE_TYPE__ n);
void *memset(void *to, int c, __SIZE_TYPE__ n);

void *memcpy(void *to, const void *from, __SIZE_TYPE__ n)
{
    for (volatile char *p = to; n--; from = (const char *)from + 1)
        *p++ = *(const char *)from;
    return to;
}

void *memset(void *to, int c, __SIZE_TYPE__ n)
{
    for (volatile char *p = to; n--;)
        *p++ = (char)c;
    return to;
}
