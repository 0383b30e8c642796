// A page of --web in headless Chromium, driven through its debugging pipe: digits are drawn with the
// mouse. node web_page.mjs CHROMIUM DIR [PICTURE.png]
// A page with a form gets numbers. A line a digit: what was drawn, what the page shows as most likely, its share, how long an answer took
// (median and most over the strokes' frames, ms).
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";

const [chromium, dir, picture] = process.argv.slice(2);
const strokes = { // on a square of 100
    0: [[[50, 15], [32, 25], [27, 50], [32, 75], [50, 85], [68, 75], [73, 50], [68, 25], [50, 15]]],
    1: [[[50, 12], [50, 88]]],
    2: [[[30, 30], [38, 17], [55, 14], [68, 25], [66, 42], [48, 62], [28, 85], [74, 85]]],
    3: [[[30, 20], [50, 13], [66, 22], [64, 40], [46, 48], [66, 56], [70, 72], [52, 87], [29, 80]]],
    4: [[[55, 13], [26, 60], [76, 60]], [[62, 35], [62, 90]]],
    7: [[[26, 16], [74, 16], [55, 50], [44, 88]]],
};

// A plain file server.
const types = { html: "text/html", js: "text/javascript", wasm: "application/wasm" };
const server = createServer((request, response) => {
    const name = request.url === "/" ? "index.html" : request.url.slice(1);
    if (!/^[a-z]+\.[a-z]+$/.test(name))
        return response.writeHead(404).end();
    response.writeHead(200, { "content-type": types[name.split(".")[1]] });
    response.end(readFileSync(join(dir, name)));
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));

const profile = mkdtempSync(join(tmpdir(), "weft-web-"));
const browser = spawn(chromium, ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
    "--disable-dev-shm-usage", `--user-data-dir=${profile}`, "--remote-debugging-pipe"],
    { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
let id = 0, rest = "", session;
const waiting = new Map();
browser.stdio[4].setEncoding("utf8").on("data", (text) => {
    const messages = (rest + text).split("\0");
    rest = messages.pop();
    for (const message of messages.map(JSON.parse)) {
        if (message.error)
            waiting.get(message.id)?.fail(new Error(message.error.message));
        waiting.get(message.id)?.done(message.result);
    }
});
const send = (method, params = {}) => new Promise((done, fail) => {
    waiting.set(++id, { done, fail });
    browser.stdio[3].write(JSON.stringify({ id, method, params, sessionId: session }) + "\0");
});
const evaluate = async (expression) => {
    const { result, exceptionDetails } =
        await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails)
        throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
};
const frames = () => evaluate("new Promise((d) => requestAnimationFrame(() => requestAnimationFrame(d)))");
const mouse = (type, [x, y], buttons) =>
    send("Input.dispatchMouseEvent", { type, x, y, button: "left", buttons, clickCount: 1 });

const state = `({
    names: [...document.querySelectorAll(".row b")].map((b) => b.textContent),
    widths: [...document.querySelectorAll(".bar i")].map((i) => parseFloat(i.style.width)),
    shown: document.querySelector(".best b")?.textContent,
    share: document.querySelector(".best span")?.textContent,
    took: parseFloat(document.querySelector("#time").textContent.match(/[0-9.]+/)?.[0]),
    error: document.querySelector("#error").textContent,
    note: document.querySelector("#note").textContent })`;

async function line(box, from, to, took) {
    const at = ([x, y]) => [box.x + x / 100 * box.width, box.y + y / 100 * box.height];
    for (let i = 1; i <= 6; i++) {
        await mouse("mouseMoved", at(from.map((v, k) => v + (to[k] - v) * i / 6)), 1);
        await frames();
        took.push((await evaluate(state)).took);
    }
}

async function draw(box, digit, took) {
    await evaluate(`document.querySelector("#clear").click()`);
    const changes = new Set();
    for (const stroke of strokes[digit]) {
        const start = stroke[0].map((v, k) => (k ? box.y : box.x) + v / 100 * (k ? box.height : box.width));
        await mouse("mousePressed", start, 1);
        for (let i = 1; i < stroke.length; i++) {
            await line(box, stroke[i - 1], stroke[i], took);
            changes.add((await evaluate(state)).widths.join());
        }
        await mouse("mouseReleased", start, 0);
    }
    if (changes.size < 2 && strokes[digit].flat().length > 2)
        throw new Error("the bars do not change while a digit is drawn");
    return evaluate(state);
}

async function drawAll() {
    const box = await evaluate(`document.querySelector("#canvas").getBoundingClientRect().toJSON()`);
    console.log(`note ${(await evaluate(state)).note}`);
    for (const digit of Object.keys(strokes)) {
        const took = [], end = await draw(box, digit, took);
        if (end.error)
            throw new Error(end.error);
        took.sort((a, b) => a - b);
        console.log(digit, end.shown, end.share.replace(" %", ""), took[took.length >> 1], took.at(-1));
    }
    if (picture) {
        await draw(box, 4, []);
        const { data } = await send("Page.captureScreenshot", { format: "png" });
        writeFileSync(picture, Buffer.from(data, "base64"));
    }
}

/** Lines in two colours, and the second with half the ink: what the page then shows. */
async function paintAll() {
    const box = await evaluate(`document.querySelector("#canvas").getBoundingClientRect().toJSON()`);
    const set = (id, value) => evaluate(`{ const input = document.querySelector("#${id}");
        input.value = "${value}"; input.dispatchEvent(new Event("input")); }`);
    console.log("canvas", box.width, box.height);
    for (const [color, full] of [["#ff0000", 1], ["#0000ff", 1], ["#0000ff", 0.5]]) {
        await evaluate(`document.querySelector("#clear").click()`);
        await set("pen", color);
        await set("full", full);
        await mouse("mousePressed", [box.x + 5, box.y + box.height / 2], 1);
        await line(box, [5, 50], [95, 50], []);
        await mouse("mouseReleased", [box.x + 5, box.y + box.height / 2], 0);
        await frames();
        const spans = `[...document.querySelectorAll(".row span")].map((s) => s.textContent).join(" ")`;
        console.log("paint", await evaluate(spans), (await evaluate(state)).error);
    }
}

async function typeAll() {
    for (const text of [Array(18).fill(0.5).join(", "), "1 two", "1 2 3"]) {
        await evaluate(`{ const area = document.querySelector("textarea");
                          area.value = "${text}"; area.dispatchEvent(new Event("input")); }`);
        await frames();
        const spans = `[...document.querySelectorAll(".row span")].map((s) => s.textContent).join(" ")`;
        console.log("form", await evaluate(spans), (await evaluate(state)).error);
    }
}

try {
    const { targetId } = await send("Target.createTarget", { url: "about:blank" });
    ({ sessionId: session } = await send("Target.attachToTarget", { targetId, flatten: true }));
    await send("Emulation.setDeviceMetricsOverride",
               { width: 700, height: 480, deviceScaleFactor: 1, mobile: false });
    await send("Page.navigate", { url: `http://127.0.0.1:${server.address().port}/` });
    for (let tries = 0; !(await evaluate(`!!document.querySelector(".row")`)); tries++) {
        const error = await evaluate(`document.querySelector("#error")?.textContent`);
        if (error || tries > 200)
            throw new Error(error || "the page shows nothing");
        await new Promise((done) => setTimeout(done, 50));
    }
    const has = (what) => evaluate(`!!document.querySelector("${what}")`);
    await (await has("#pen") ? paintAll() : await has("#canvas") ? drawAll() : typeAll());
} catch (error) {
    console.error(error.message);
    process.exitCode = 1;
} finally {
    const gone = new Promise((done) => browser.once("exit", done));
    session = undefined;
    send("Browser.close").catch(() => browser.kill());
    await gone;
    server.close(); // the browser's helpers may write for a moment still
    rmSync(profile, { recursive: true, force: true, maxRetries: 30 });
}
