import { chromium } from "playwright-core";
import { execSync } from "node:child_process";
const [,, port, password, ...paths] = process.argv;
const exe = execSync("command -v chromium-headless-shell || command -v chromium").toString().trim();
const browser = await chromium.launch({ executablePath: exe, args: ["--no-sandbox"] });
for (const [w, theme] of [[1280, "light"], [390, "light"], [1280, "dark"], [390, "dark"]]) {
  const context = await browser.newContext({ viewport: { width: w, height: 900 }, colorScheme: theme });
  const login = await context.request.post(`http://127.0.0.1:${port}/api/v1/auth/login`, { data: { login: "admin", password } });
  if (!login.ok()) throw new Error(await login.text());
  await context.addInitScript(() => { if (localStorage.getItem("prism.me") === null) localStorage.setItem("prism.me", "{}"); });
  for (const [n, path] of paths.entries()) {
    const page = await context.newPage();
    await page.addInitScript(() => { window.shifts = []; new PerformanceObserver((l) => { for (const e of l.getEntries()) window.shifts.push([e.value, e.sources.map((s) => s.node?.className ?? s.node?.nodeName)]); }).observe({ type: "layout-shift", buffered: true }); });
    await page.goto(`http://127.0.0.1:${port}/dashboard${path}`);
    await page.waitForTimeout(4000);
    console.log(w, theme, path, JSON.stringify(await page.evaluate(() => window.shifts.map(([v, s]) => [Math.round(v*1000)/1000, s]))), await page.evaluate(() => document.documentElement.scrollWidth));
    await page.screenshot({ path: `/tmp/q/rp-d${n}-${w}-${theme}.png`, fullPage: true });
    await page.close();
  }
  await context.close();
}
await browser.close();
