// Checks imports. The core (core config store http live, and module: the interface of modules)
// imports no feature. A feature imports another one through src/features/<x>/index.ts only, and
// only if FEATURES lists the pair; the list has no cycles. Files have no cycles either, types
// included. SQL text is never built from parts.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const root = join(import.meta.dirname, "..");
const CORE = {
  core: [],
  config: ["core"],
  store: ["core"],
  module: ["core", "config", "store", "http", "live"],
  http: ["core", "config", "store"],
  live: ["core", "http"],
  client: [],
};
const ABOVE = ["app", "remote", "cli", "bin"];
/** The features that each feature may import. */
const FEATURES = {
  audit: [],
  jobs: ["audit"],
  access: ["audit", "jobs"],
  backup: ["audit", "jobs"],
  sounds: ["access", "jobs"],
  messages: ["access", "jobs"],
  pusher: ["access", "audit", "jobs"],
  streams: ["access", "messages", "pusher"],
  rules: ["access", "audit", "jobs", "sounds"],
  notifications: ["access", "audit", "jobs", "rules", "sounds", "streams"],
  events: ["access", "audit", "jobs", "notifications", "rules"],
  schedules: ["access", "events", "jobs"],
  delivery: ["access", "audit", "events", "jobs", "notifications", "pusher", "rules", "sounds", "streams"],
  timers: [
    "access",
    "audit",
    "delivery",
    "events",
    "jobs",
    "notifications",
    "pusher",
    "schedules",
    "sounds",
    "streams",
  ],
  retention: [
    "access",
    "alerts",
    "audit",
    "channels",
    "delivery",
    "drill",
    "events",
    "heartbeats",
    "jobs",
    "messages",
    "notifications",
    "receivers",
    "ntfy",
    "rules",
    "schedules",
    "statuspage",
    "streams",
  ],
  ntfy: ["access", "audit", "delivery", "events", "streams"],
  alerts: ["access", "audit", "delivery", "events", "jobs", "notifications", "rules", "schedules"],
  alertmanager: ["access", "alerts"],
  integrations: ["access", "alerts", "audit", "events"],
  receivers: ["access", "alerts", "audit", "events", "rules"],
  "mail-in": ["delivery", "receivers"],
  tasks: ["access"],
  buckets: ["access", "events", "jobs", "schedules"],
  channels: ["access", "audit", "delivery", "events", "jobs", "notifications"],
  digest: ["access", "delivery", "events", "jobs", "notifications", "rules", "schedules"],
  oncall: ["access", "audit", "events", "notifications"],
  drill: ["access", "alerts", "audit", "delivery", "notifications", "oncall"],
  explain: ["access", "alerts", "oncall", "rules"],
  plugins: ["access", "audit", "events", "jobs", "notifications", "schedules", "sounds", "streams", "timers"],
  overview: ["access", "alerts", "delivery", "drill", "jobs", "plugins", "watch"],
  settings: ["audit", "delivery"],
  heartbeats: ["events", "access", "alerts", "audit", "schedules"],
  gotify: ["access", "audit", "notifications"],
  statuspage: ["access", "alerts", "audit", "delivery", "jobs"],
  console: [],
  emergency: ["jobs"],
  watch: ["access", "emergency", "notifications"],
  status: [
    "access",
    "audit",
    "delivery",
    "drill",
    "events",
    "jobs",
    "plugins",
    "pusher",
    "retention",
    "rules",
    "streams",
    "watch",
  ],
};
/** Threads start in src/worker.ts, which imports only each thread's file of its feature. */
const THREADS = "src/worker.ts";
/** Lists of features: they import the routes or the declaration of each, which no feature does. */
const WIRING = { "src/app/feature-list.ts": "/feature.ts" };
/**
 * A command starts in 0.1 s because it loads only the files of a feature that it needs; through
 * index.ts it took 0.16 s.
 */
const LOADS_PARTS = ["cli", "remote", "bin"];
const EXCEPTIONS = new Set(["src/core/runtime.ts -> src/worker.ts"]);

const files = ["src", "bin"].flatMap((folder) => find(join(root, folder))).map((path) => relative(root, path));
const imports = new Map(files.map((file) => [file, importsOf(file)]));
const problems = [...imports].flatMap(([file, targets]) => targets.flatMap((target) => check(file, target)));
problems.push(...featureCycles(), ...cycles(), ...files.flatMap(builtSql));
if (problems.length > 0) {
  console.error(problems.join("\n"));
  process.exit(1);
}
console.log(`${files.length} files import one way`);

function check(from, to) {
  if (EXCEPTIONS.has(`${from} -> ${to}`) || from === THREADS) return [];
  const [left, right] = [roomOf(from), roomOf(to)];
  if (left.room === right.room && left.feature === right.feature) return [];
  const allowed = left.feature ? FEATURES[left.feature] : CORE[left.room];
  if (right.feature) {
    if (CORE[left.room]) return [`${from}: ${left.room} must not import a feature: ${to}`];
    const isDoor = to === `src/features/${right.feature}/index.ts` || to.endsWith(WIRING[from] ?? "/index.ts/");
    if (!isDoor && !LOADS_PARTS.includes(left.room))
      return [`${from} must import features/${right.feature}/index.ts, not ${to}`];
    if (left.feature && !allowed.includes(right.feature))
      return [`${from}: ${left.feature} -> ${right.feature} is not on the list`];
    return [];
  }
  if (ABOVE.includes(right.room)) {
    return ABOVE.indexOf(left.room) > ABOVE.indexOf(right.room) ? [] : [`${from} must not import ${to}`];
  }
  if (CORE[left.room] && !allowed.includes(right.room))
    return [`${from}: ${left.room} must not import ${right.room} (${to})`];
  return [];
}

function roomOf(file) {
  const [top, room, feature] = file.split("/");
  if (top === "bin") return { room: "bin" };
  if (file === THREADS) return { room: "app" };
  if (room === "features") {
    if (!(feature in FEATURES)) throw new Error(`${file}: ${feature} is not in FEATURES`);
    return { room, feature };
  }
  if (!(room in CORE) && !ABOVE.includes(room)) throw new Error(`${file} is in no room`);
  return { room };
}

/** Cycles in the list of features. */
function featureCycles() {
  return Object.keys(FEATURES).flatMap((feature) => {
    const found = pathBack(feature, feature, [], new Set());
    return found && found[0] === [...found].sort()[0] ? [`features: ${found.join(" -> ")} -> ${feature}`] : [];
  });
}

function pathBack(goal, feature, path, seen) {
  for (const next of FEATURES[feature]) {
    if (next === goal) return [...path, feature];
    if (seen.has(next)) continue;
    seen.add(next);
    const found = pathBack(goal, next, [...path, feature], seen);
    if (found) return found;
  }
  return undefined;
}

/** Relative imports, types included: a type is a dependency too. */
function importsOf(file) {
  const text = readFileSync(join(root, file), "utf8");
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+)"/g)].map((match) => match[1]);
  return specifiers
    .map((specifier) => relative(root, join(root, dirname(file), specifier)))
    .filter((target) => target.startsWith("src/") && !target.endsWith(".gen.ts") && exists(target));
}

/**
 * Cycles of files within a folder, types included; between folders and features the lists above
 * allow none.
 */
function cycles() {
  const found = [];
  const state = new Map();
  const visit = (file, path) => {
    state.set(file, "open");
    for (const target of imports.get(file) ?? []) {
      if (!isSameRoom(file, target) || state.get(target) === "done") continue;
      if (state.get(target) === "open") found.push([...path.slice(path.indexOf(target)), target]);
      else visit(target, [...path, target]);
    }
    state.set(file, "done");
  };
  for (const file of imports.keys()) if (!state.has(file)) visit(file, [file]);
  return found.map((files) => `cycle: ${files.join(" -> ")}`);
}

function isSameRoom(from, to) {
  const [left, right] = [roomOf(from), roomOf(to)];
  return left.room === right.room && left.feature === right.feature;
}

/**
 * SQL is constant text with bound parameters. A template may insert only constants of the code,
 * which are written in capitals.
 */
function builtSql(file) {
  const text = readFileSync(join(root, file), "utf8");
  return [...text.matchAll(/(?:prepare(?:<[^(]*>)?|\.exec|pragma)\(\s*`([^`]*)`/g)]
    .filter(([, sql]) =>
      [...sql.matchAll(/\$\{([^}]*)\}/g)].some(([, part]) => !/^[A-Z][A-Z0-9_]*$/.test(part) && !isPragmaNumber(sql)),
    )
    .map(([, sql]) => `${file}: SQL built from parts: ${sql.trim().slice(0, 80)}`);
}

/** `pragma name = <number>` takes no bound parameter. */
function isPragmaNumber(sql) {
  return /^\s*[a-z_]+ = \$\{[^}]*\}\s*$/.test(sql);
}

function find(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? find(path) : entry.name.endsWith(".ts") && !entry.name.endsWith(".d.ts") ? [path] : [];
  });
}

function exists(file) {
  return statSync(join(root, file), { throwIfNoEntry: false })?.isFile() ?? false;
}
