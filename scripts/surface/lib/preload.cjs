// Loaded by a recorded executable before its own script (NODE_OPTIONS): it shows the
// recording's time of day (SURFACE_CLOCK), and each SQL statement that it compiles is appended to a file.
const { appendFileSync } = require("node:fs");

const [from, at, rate] = (process.env.SURFACE_CLOCK ?? "0 0 1").split(" ").map(Number);
const statements = process.env.SURFACE_STATEMENTS;
const now = Date.now.bind(Date);
Date.now = () => Math.floor(at + (now() - from) * rate);
globalThis.Date = new Proxy(Date, {
  construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [Date.now()] : args, newTarget),
  apply: () => new Date().toString(),
});

// Where the clock hardly moves, what waits for long waits accordingly.
const LONG_MS = 10_000;
const LONGEST_MS = 2 ** 31 - 1;
if (rate < 1)
  for (const name of ["setTimeout", "setInterval"]) {
    const start = globalThis[name];
    const slow = (run, ms, ...rest) => start(run, ms >= LONG_MS ? Math.min(LONGEST_MS, ms / rate) : ms, ...rest);
    globalThis[name] = Object.defineProperties(slow, Object.getOwnPropertyDescriptors(start));
  }

if (statements !== undefined) {
  const seen = new Set();
  const { dlopen } = process;
  process.dlopen = function (module, ...rest) {
    dlopen.call(this, module, ...rest);
    const { Database } = module.exports;
    if (Database === undefined) return;
    const { prepare } = Database.prototype;
    Database.prototype.prepare = function (sql, ...others) {
      if (!seen.has(sql)) appendFileSync(statements, `${JSON.stringify(sql)}\n`);
      seen.add(sql);
      return prepare.call(this, sql, ...others);
    };
  };
}
