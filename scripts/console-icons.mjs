// Renders the icons of the installed console from console/public/icon.svg, with a real browser.
// Usage: node scripts/console-icons.mjs; the files are committed. CHROMIUM_PATH names the browser.
import "./node-version.mjs";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const folder = join(import.meta.dirname, "../console/public");
const mark = readFileSync(join(folder, "icon.svg"), "utf8");

/** `fill`: the part of the square that the mark takes. Masks cut up to 10 % of each side away. */
const ICONS = [
  { name: "icon-192", size: 192, fill: 0.66, colour: "#ffffff", background: "#4f46e5", radius: 0.22 },
  { name: "icon-512", size: 512, fill: 0.66, colour: "#ffffff", background: "#4f46e5", radius: 0.22 },
  { name: "icon-maskable-512", size: 512, fill: 0.52, colour: "#ffffff", background: "#4f46e5", radius: 0 },
  { name: "apple-touch-icon", size: 180, fill: 0.62, colour: "#ffffff", background: "#4f46e5", radius: 0 },
  // Systems draw it in one colour.
  { name: "badge-96", size: 96, fill: 0.92, colour: "#ffffff", background: "transparent", radius: 0 },
];

const executablePath = process.env.CHROMIUM_PATH ?? "/usr/bin/chromium";
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
for (const { name, size, fill, colour, background, radius } of ICONS) {
  const page = await browser.newPage({ viewport: { width: size, height: size } });
  const inner = Math.round(size * fill);
  const svg = mark.replace(/stroke="#\w+"/, `stroke="${colour}" width="${inner}" height="${inner}"`);
  const style = `display:grid;place-items:center;width:${size}px;height:${size}px;background:${background}`;
  await page.setContent(
    `<body style="margin:0"><div style="${style};border-radius:${Math.round(size * radius)}px">${svg}</div>`,
  );
  await page.screenshot({ path: join(folder, `${name}.png`), omitBackground: true });
}
await browser.close();
