// Drives a leaderboard from disk in headless Chromium: node leaderboard.mjs SITE CHROMIUM [only-speed]; prints what it found as JSON.
// playwright-core and axe-core are looked for where NODE_PATH says.
import { createRequire } from "node:module";
import { readFileSync, readdirSync } from "node:fs";
import { pathToFileURL } from "node:url";

const require = createRequire(import.meta.url);
const { chromium } = require("playwright-core");
const [site, executablePath, only] = process.argv.slice(2);
const address = (page) => `${pathToFileURL(site)}/${page}`;
const flags = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath, args: flags });
const found = { errors: [], requests: [], faults: [], overflow: [] };

async function open(context, page) {
  const tab = await context.newPage();
  tab.on("console", (message) => { if (["error", "warning"].includes(message.type())) found.errors.push(`${page}: ${message.text()}`); });
  tab.on("pageerror", (error) => found.errors.push(`${page}: ${error.message}`));
  tab.on("request", (request) => { if (!request.url().startsWith("file:")) found.requests.push(request.url()); });
  await tab.goto(address(page));
  return tab;
}

// Milliseconds from an input event until the rows are laid out, mean of ten: on the clock, and of the page's thread alone (other processes may run).
async function speed(context) {
  const tab = await open(context, "index.html");
  const client = await context.newCDPSession(tab);
  await client.send("Performance.enable", { timeDomain: "threadTicks" });
  const busy = async () => (await client.send("Performance.getMetrics")).metrics.find((metric) => metric.name === "TaskDuration").value;
  const times = { rows: await tab.textContent(".status") };
  for (const what of ["filter", "find", "sort"]) {
    const before = await busy();
    const clock = await tab.evaluate((kind) => {
      const form = document.querySelector(".board form");
      const choose = (name, value) => { form.elements[name].value = value; form.dispatchEvent(new Event("input", { bubbles: true })); };
      const acts = {
        filter: (i) => choose("dataset", i % 2 ? "" : form.elements.dataset.options[1].value),
        find: (i) => choose("find", i % 2 ? "" : "velocity"),
        sort: (i) => document.querySelector(`th[data-key="${i % 2 ? 0 : 3}"] button`).click(),
      };
      const began = performance.now();
      for (let i = 0; i < 10; i++) {
        acts[kind](i);
        document.querySelector(".board table").getBoundingClientRect();
      }
      return (performance.now() - began) / 10;
    }, what);
    times[what] = { clock, thread: 100 * ((await busy()) - before) };
  }
  return times;
}

async function use(context) {
  const tab = await open(context, "index.html");
  const column = (index) => tab.$$eval(".board tbody tr:not(.group)", (rows, at) => rows.map((row) => row.cells[at].textContent), index);
  const sorted = () => tab.$$eval(".board thead th[aria-sort]", (heads) => heads.map((head) => [head.dataset.key, head.getAttribute("aria-sort")]));
  const used = { before: { sorted: await sorted(), status: await tab.textContent(".status") } };
  await tab.check("input[name=variants]");
  await tab.reload(); // the address holds the choice
  used.variants = { status: await tab.textContent(".status"), hash: new URL(tab.url()).hash, checked: await tab.isChecked("input[name=variants]") };
  await tab.fill("input[name=find]", "k=3");
  await tab.uncheck("input[name=variants]");
  used.alone = await tab.textContent(".status");
  await tab.fill("input[name=find]", "");
  await tab.focus('th[data-key="3"] button'); // EER, by keyboard
  await tab.keyboard.press("Enter");
  used.eer = { sorted: await sorted(), figures: await column(7), focus: await tab.evaluate(() => document.activeElement.closest("th")?.dataset.key) };
  await tab.keyboard.press("Enter");
  used.reversed = { sorted: await sorted(), figures: await column(7) };
  await tab.selectOption("select[name=dataset]", { index: 1 });
  used.filtered = { status: await tab.textContent(".status"), headings: await tab.$$eval(".board tr.group a", (links) => links.map((one) => one.textContent)), hash: new URL(tab.url()).hash };
  await tab.selectOption("select[name=show]", "cost");
  used.cost = await tab.$$eval(".board thead th button", (heads) => heads.map((head) => head.textContent));
  await tab.fill("input[name=find]", "no such thing");
  used.nothing = await tab.textContent(".status");
  await tab.click("button[type=reset]");
  await tab.waitForFunction((text) => document.querySelector(".status").textContent === text, used.before.status);
  await tab.click("#theme");
  await tab.click("#theme");
  used.dark = await tab.evaluate(() => [document.documentElement.dataset.theme, getComputedStyle(document.body).backgroundColor]);
  await tab.keyboard.press("Tab");
  await tab.click(".board tbody tr:not(.group) th a");
  await tab.waitForURL("**/methods/*");
  used.method = { url: tab.url().split("/").slice(-2).join("/"), title: await tab.textContent("h1"), charts: await tab.locator("svg.chart").count(), theme: await tab.evaluate(() => document.documentElement.dataset.theme) };
  await tab.click(".board tr.group a");
  await tab.waitForURL("**/datasets/*");
  used.dataset = { url: tab.url().split("/").slice(-2).join("/"), timelines: await tab.locator("svg.timeline").count(), lines: await tab.locator("svg.timeline polyline").count(), shaded: await tab.locator("svg.timeline .anomaly").count() };
  await tab.click("table.sortable thead th:nth-child(3) button");
  used.clips = await tab.$$eval("table.sortable tbody tr", (rows) => rows.map((row) => row.cells[2].textContent.trim()));
  return used;
}

// The rows that are seen where scripts are off.
async function read(context) {
  const tab = await open(context, "index.html");
  return { rows: await tab.locator("table tr:visible th[scope=row]").allTextContents(), filters: await tab.locator("form:visible").count() };
}

async function audit(context, mode, pages) {
  const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
  for (const page of pages) {
    const tab = await open(context, page);
    await tab.evaluate(() => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
    await tab.evaluate(axe);
    const { violations } = await tab.evaluate(() => axe.run({ preload: false })); // it would fetch style sheets, which a page from disk may not
    for (const { id, impact, nodes } of violations) found.faults.push(`${mode} ${page}: ${impact} ${id}: ${nodes[0].html.slice(0, 120)} ${(nodes[0].any[0]?.message ?? "").slice(0, 160)}`);
    if (await tab.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth)) found.overflow.push(`${mode} ${page}`);
    await tab.close();
  }
}

const wide = { width: 1366, height: 900 };
const context = await browser.newContext({ viewport: wide });
if (only === "only-speed") {
  found.speed = await speed(context);
} else {
  found.used = await use(context);
  found.plain = await read(await browser.newContext({ viewport: wide, javaScriptEnabled: false }));
  const pages = ["index.html", "ranks.html", ...["methods", "datasets"].map((kind) => `${kind}/${readdirSync(`${site}/${kind}`)[0]}`)];
  await audit(await browser.newContext({ viewport: wide, colorScheme: "light" }), "light", pages);
  await audit(await browser.newContext({ viewport: wide, colorScheme: "dark" }), "dark", pages);
  await audit(await browser.newContext({ viewport: { width: 390, height: 844 } }), "phone", pages);
}
await browser.close();
console.log(JSON.stringify(found, null, 1));
