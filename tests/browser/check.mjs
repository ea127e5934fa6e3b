// Opens report.html of a folder in Chromium and looks at it as different readers do.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [work, ...options] = process.argv.slice(2);
const screenshots = options.includes("--screenshots")
  ? resolve(import.meta.dirname, "../../docs/screenshots")
  : null;
const address = pathToFileURL(join(resolve(work), "report.html")).href;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const sections = [
  "result", "separation", "deciles", "thresholds", "calibration", "stability", "training", "data",
  "learned", "cost", "method",
];
const charts = [
  "chart-ks", "chart-roc", "chart-pr", "chart-gains", "chart-lift", "chart-distribution",
  "chart-calibration", "chart-training",
];
const readers = [
  { name: "desktop", viewport: { width: 1100, height: 1200 }, colorScheme: "light", media: "screen" },
  { name: "dark", viewport: { width: 1100, height: 1200 }, colorScheme: "dark", media: "screen" },
  { name: "mobile", viewport: { width: 390, height: 844 }, colorScheme: "light", media: "screen" },
  { name: "print", viewport: { width: 672, height: 980 }, colorScheme: "dark", media: "print" },
];

const faults = [];
const browser = await chromium.launchPersistentContext(join(work, "profile"), {
  executablePath: process.env.CHROMIUM,
  headless: true,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
  ],
});
try {
  for (const reader of readers) await look(reader);
} finally {
  await browser.close();
}
for (const fault of faults) console.error(`fault: ${fault}`);
console.log(`${readers.length} readers, ${faults.length} faults`);
process.exitCode = faults.length > 0 ? 1 : 0;

async function look(reader) {
  const { name } = reader;
  const fault = (text) => faults.push(`${name}: ${text}`);
  const page = await browser.newPage();
  page.on("console", (m) => {
    if (["error", "warning"].includes(m.type())) fault(`console: ${m.text()}`);
  });
  page.on("pageerror", (e) => fault(`error: ${e.message}`));
  page.on("request", (r) => r.url().split("#")[0] !== address && fault(`asked for ${r.url()}`));
  await page.setViewportSize(reader.viewport);
  await page.emulateMedia({ media: reader.media, colorScheme: reader.colorScheme });
  await page.goto(address);

  for (const id of [...sections.map((s) => `#${s} > h2`), ...charts.map((c) => `svg#${c}`)]) {
    const box = await page.locator(id).boundingBox();
    if (!box || box.width < 50 || box.height < 10) fault(`${id} is not to be seen`);
  }
  const wide = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  if (wide > 0) fault(`the page is ${wide} pixels too wide`);
  // Text of a chart that leaves its drawing would be cut off on paper.
  const outside = await page.evaluate(() =>
    [...document.querySelectorAll("svg.chart text")]
      .filter((text) => {
        const [a, b] = [text.getBoundingClientRect(), text.ownerSVGElement.getBoundingClientRect()];
        return a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 1 || a.bottom > b.bottom + 1;
      })
      .map((text) => `${text.ownerSVGElement.id}: ${text.textContent}`),
  );
  outside.forEach((text) => fault(`outside of its chart: ${text}`));

  // axe does not judge text in drawings.
  const pale = await page.evaluate(() => {
    const luminance = (colour) => {
      const parts = colour.match(/[\d.]+/g).map((v) => v / 255);
      const [r, g, b] = parts.map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const paper = luminance(getComputedStyle(document.body).backgroundColor);
    const contrast = (colour) => {
      const ink = luminance(colour);
      return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    };
    const texts = [...document.querySelectorAll("svg text")].map((e) => [e, "fill", 4.5]);
    const lines = [...document.querySelectorAll("svg .line")].map((e) => [e, "stroke", 3]);
    const found = [...texts, ...lines].filter(
      ([e, property, least]) => contrast(getComputedStyle(e)[property]) < least,
    );
    return { looked: texts.length + lines.length, found: found.map(([e]) => e.outerHTML.slice(0, 80)) };
  });
  if (pale.looked < 100) fault(`only ${pale.looked} texts and lines in drawings`);
  pale.found.forEach((html) => fault(`too pale: ${html}`));

  // Through the debugger: the page's own policy forbids scripts.
  await page.evaluate(axe);
  const found = await page.evaluate(() =>
    globalThis.axe.run(document, { resultTypes: ["violations", "incomplete", "passes"] }),
  );
  for (const violation of found.violations) {
    for (const node of violation.nodes) fault(`axe ${violation.id}: ${node.target} ${node.html}`);
  }
  const undecided = found.incomplete.map((check) => `${check.id} (${check.nodes.length})`);
  console.log(
    `${name}: ${found.passes?.length ?? 0} axe rules passed, ${found.violations.length} violated, ` +
      `undecided: ${undecided.join(", ") || "none"}`,
  );
  if ((found.passes?.length ?? 0) < 20) fault("axe looked at next to nothing");

  if (reader.media === "print") {
    const pdf = join(work, "report.pdf");
    writeFileSync(pdf, await page.pdf({ preferCSSPageSize: true, printBackground: true }));
    const text = execFileSync("pdftotext", ["-layout", pdf, "-"], { encoding: "utf8" });
    for (const words of ["Who learned what", "Tenths of the test rows", "Time and traffic"]) {
      if (!text.includes(words)) fault(`"${words}" is not printed`);
    }
  }
  if (screenshots) {
    mkdirSync(screenshots, { recursive: true });
    const path = (what) => join(screenshots, `report-${what}.png`);
    if (reader.media === "print") {
      for (const number of ["1", "2", "3"]) {
        const options = ["-r", "80", "-png", "-singlefile", "-f", number];
        const to = path(`print-${number}`).slice(0, -4);
        execFileSync("pdftoppm", [...options, join(work, "report.pdf"), to]);
      }
    } else {
      await page.screenshot({ path: path(name) });
    }
    if (name === "desktop") {
      for (const id of ["deciles", "calibration", "learned"]) {
        await page.locator(`#${id}`).screenshot({ path: path(`${name}-${id}`) });
      }
    }
  }
  await page.close();
}
