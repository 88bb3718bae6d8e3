// Loaded by a recorded executable before its own script (NODE_OPTIONS): its clock starts at a fixed
// time of day, and each SQL statement that it compiles is appended to a file.
const { appendFileSync } = require("node:fs");

const shiftMs = Number(process.env.SURFACE_CLOCK_SHIFT_MS ?? 0);
const statements = process.env.SURFACE_STATEMENTS;
const now = Date.now.bind(Date);
Date.now = () => now() + shiftMs;
globalThis.Date = new Proxy(Date, {
  construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [Date.now()] : args, newTarget),
  apply: () => new Date().toString(),
});

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
