// Checks imports. The core (core config store http live, module: the interface of modules, and cluster)
// imports no feature. A feature imports another one through the index.ts of its folder only, and
// only if FEATURES lists the pair; the list has no cycles. Files have no cycles either, types
// included. SQL text is never built from parts. The server, the client package and the console each
// have one exported type of a name. File names follow NAMES. What scripts/one-place.mjs lists has one
// place.
import "./node-version.mjs";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { misplaced } from "./one-place.mjs";

const root = join(import.meta.dirname, "..");
const CORE = {
  core: [],
  config: ["core"],
  store: ["core"],
  module: ["core", "config", "store", "http", "live"],
  http: ["core", "config", "store"],
  live: ["core", "http"],
  client: [],
  cluster: ["core", "config", "store", "http"],
};
const ABOVE = ["app", "remote", "cli", "bin"];
/** The features that each feature may import. */
const FEATURES = {
  "records/audit": [],
  "time/jobs": ["records/audit"],
  access: ["records/audit", "time/jobs"],
  "records/backup": ["records/audit", "time/jobs"],
  "records/configuration": ["access", "alerts", "explain", "oncall", "rules"],
  "notifications/sounds": ["access", "time/jobs"],
  "notifications/messages": ["access", "time/jobs"],
  "protocols/pusher": ["access", "records/audit", "time/jobs"],
  "events/streams": ["access", "notifications/messages", "protocols/pusher"],
  rules: ["access", "records/audit", "time/jobs", "notifications/sounds"],
  notifications: ["access", "records/audit", "time/jobs", "rules", "notifications/sounds", "events/streams"],
  events: ["access", "records/audit", "time/jobs", "notifications", "rules"],
  "time/schedules": ["access", "events", "time/jobs"],
  delivery: [
    "access",
    "records/audit",
    "events",
    "time/jobs",
    "notifications",
    "protocols/pusher",
    "rules",
    "notifications/sounds",
    "events/streams",
  ],
  "time/timers": [
    "access",
    "records/audit",
    "delivery",
    "events",
    "time/jobs",
    "notifications",
    "protocols/pusher",
    "time/schedules",
    "notifications/sounds",
    "events/streams",
  ],
  "records/retention": ["time/schedules"],
  "protocols/ntfy": ["access", "records/audit", "delivery", "events", "rules", "events/streams"],
  alerts: ["access", "records/audit", "delivery", "events", "time/jobs", "notifications", "rules", "time/schedules"],
  "protocols/alertmanager": ["access", "alerts"],
  "protocols/integrations": ["access", "alerts", "records/audit", "events", "intake/forward"],
  "intake/forward": ["access", "delivery"],
  "intake/receivers": ["access", "alerts", "records/audit", "events", "intake/forward", "rules"],
  "intake/mail-in": ["delivery", "intake/receivers"],
  "time/tasks": ["access"],
  buckets: ["access", "events", "time/jobs", "time/schedules"],
  channels: ["access", "alerts", "records/audit", "delivery", "events", "time/jobs", "notifications", "rules"],
  "notifications/digest": ["access", "delivery", "events", "time/jobs", "notifications", "rules", "time/schedules"],
  oncall: ["access", "records/audit", "events", "notifications"],
  "oncall/drill": ["access", "alerts", "records/audit", "delivery", "notifications", "oncall"],
  explain: ["access", "alerts", "oncall", "rules"],
  mirror: ["alerts", "oncall"],
  reports: ["access", "alerts", "notifications/digest", "oncall", "rules", "time/jobs"],
  plugins: [
    "access",
    "records/audit",
    "events",
    "time/jobs",
    "notifications",
    "time/schedules",
    "notifications/sounds",
    "events/streams",
    "time/timers",
  ],
  "health/overview": ["access", "alerts", "delivery", "time/jobs"],
  "records/settings": ["records/audit", "delivery"],
  heartbeats: ["events", "access", "alerts", "records/audit", "time/schedules"],
  "protocols/gotify": ["access", "records/audit", "notifications"],
  statuspage: ["access", "alerts", "records/audit", "delivery", "time/jobs"],
  "health/console": [],
  "health/emergency": [],
  "health/cluster": ["access", "oncall/drill"],
  "health/watch": ["access", "health/emergency", "notifications"],
  "health/status": [
    "access",
    "records/audit",
    "delivery",
    "oncall/drill",
    "events",
    "time/jobs",
    "plugins",
    "protocols/pusher",
    "health/cluster",
    "records/retention",
    "rules",
    "events/streams",
    "health/watch",
  ],
};
/** Folders in the room of their subject that are parts of another feature. */
const PARTS = {
  "channels/mail": "delivery",
  "channels/push": "delivery",
  "channels/pusher": "delivery",
  "channels/webhook": "delivery",
  "channels/webpush": "delivery",
  "protocols/healthchecks": "heartbeats",
};
/**
 * Tables that more than one feature writes; every other one has one writer among the features. The store
 * and `http` may write all of them.
 */
const SHARED_TABLES = {
  // Each key has one owner.
  settings: [
    "access",
    "alerts",
    "health/cluster",
    "heartbeats",
    "protocols/integrations",
    "records/audit",
    "records/backup",
    "records/configuration",
    "records/retention",
    "rules",
    "time/jobs",
  ],
  // Those of a removed account go with its name.
  pages: ["access", "delivery"],
  // They end with a session, or with a membership.
  push_devices: ["access", "delivery"],
  ntfy_access: ["access", "protocols/ntfy"],
  // Preferences, and marks of addresses that refuse mail.
  users: ["access", "delivery"],
  notifications: ["delivery", "notifications"],
  deliveries: ["delivery", "notifications"],
  // A restored server has no refresh tokens of providers.
  identities: ["access", "records/backup"],
  // What became of a request that is passed on.
  receiver_requests: ["intake/forward", "intake/receivers"],
  stream_gaps: ["events", "events/streams", "records/backup"],
};
/** Where a newcomer looks for them: in files of features, code like this is in files with such a name. */
const NAMES = [
  { code: /^export const \w+ = feature\(/m, name: /^feature\.ts$/, is: "declares a feature" },
  { code: /\bserver\.route\(/, name: /^(feature|routes|[a-z0-9-]+-routes)\.ts$/, is: "registers routes" },
  { code: /\b(?:pass|warn|fail)\b.* from ".*core\/finding\.ts"/, name: /^doctor\.ts$/, is: "makes lines of doctor" },
  { code: /: StoredFindings = \{$/m, name: /^doctor\.ts$/, is: "has checks of doctor" },
  { code: /: FeatureFindings<.*> = \{$/m, name: /^findings\.ts$/, is: "says what a feature finds" },
];
/** Names that do not say what is in a file. */
const EMPTY_NAMES = /^(utils?|helpers?|common|misc)\.ts$/;
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

const files = ["src", "bin"].flatMap(find);
const imports = new Map(files.map((file) => [file, importsOf(file)]));
const problems = [...imports].flatMap(([file, targets]) => targets.flatMap((target) => check(file, target)));
problems.push(
  ...featureCycles(),
  ...cycles(),
  ...files.flatMap(builtSql),
  ...files.flatMap(misnamed),
  ...writtenTwice(),
  ...misplaced(files.map((file) => [file, readFileSync(join(root, file), "utf8")])),
);
const isOfClient = (file) => file.startsWith("src/client/");
for (const program of [files.filter((file) => !isOfClient(file)), files.filter(isOfClient), find("console")])
  problems.push(...typesDeclaredTwice(program));
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
  const [top, room, folder, part] = file.split("/");
  if (top === "bin") return { room: "bin" };
  if (file === THREADS) return { room: "app" };
  if (room === "features") {
    const feature = PARTS[`${folder}/${part}`] ?? [`${folder}/${part}`, folder].find((name) => name in FEATURES);
    if (!feature) {
      console.error(
        `${file}: add ${folder} and the features that it may import to FEATURES in scripts/check-imports.mjs`,
      );
      process.exit(1);
    }
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

/** Names by convention: kebab-case, and what NAMES says. */
function misnamed(file) {
  const name = basename(file);
  if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.gen)?\.ts$/.test(name) || EMPTY_NAMES.test(name))
    return [`${file}: name it by its content, in kebab-case`];
  if (!file.startsWith("src/features/")) return [];
  const text = readFileSync(join(root, file), "utf8");
  const found = NAMES.filter((each) => each.code.test(text) && !each.name.test(name)).map(
    ({ is }) => `${file} ${is}: another name, or another file`,
  );
  if (name === "feature.ts" && !NAMES[0].code.test(text)) found.push(`${file} declares no feature`);
  const isDoor = Object.keys(FEATURES).some((feature) => file === `src/features/${feature}/index.ts`);
  const statements = text.replace(/\/\*.*?\*\//gs, "").split(";");
  if (isDoor && statements.some((each) => !/^\s*(export [^=]*? from "[^"]+")?\s*$/.test(each)))
    found.push(`${file} has more than exports of other files`);
  return found;
}

/** `pragma name = <number>` takes no bound parameter. */
function isPragmaNumber(sql) {
  return /^\s*[a-z_]+ = \$\{[^}]*\}\s*$/.test(sql);
}

/** Tables with other writers among the features than one, or than SHARED_TABLES says. */
function writtenTwice() {
  const writers = new Map();
  for (const file of files.filter((each) => each.startsWith("src/features/"))) {
    const text = readFileSync(join(root, file), "utf8");
    const calls = text.matchAll(/\b(?:insertInto|replaceInto|updateTable|deleteFrom|sweepRows)\(\s*"(\w+)/g);
    const sql = text.matchAll(/\b(?:insert (?:or \w+ )?into|update|delete from) (\w+) (?:\(|set |where )/g);
    const settings = /\bputSetting\(/.test(text) ? [["", "settings"]] : [];
    for (const [, table] of [...calls, ...sql, ...settings])
      writers.set(table, new Set([...(writers.get(table) ?? []), roomOf(file).feature]));
  }
  return [...writers].flatMap(([table, found]) => {
    const features = [...found].sort();
    const isRight = features.join() === (SHARED_TABLES[table] ?? [features[0]]).join();
    return isRight ? [] : [`table ${table} is written by ${features.join(", ")}`];
  });
}

/** Exported types of a name that another file exports too: one name has one meaning. */
function typesDeclaredTwice(program) {
  const places = new Map();
  for (const file of program.filter((each) => !each.endsWith(".gen.ts"))) {
    const text = readFileSync(join(root, file), "utf8");
    for (const [, name] of text.matchAll(/^export (?:declare |abstract )*(?:interface|type|class) (\w+)/gm))
      places.set(name, [...(places.get(name) ?? []), file]);
  }
  return [...places]
    .filter(([, places]) => places.length > 1)
    .map(([name, places]) => `type ${name} is exported by ${places.join(" and ")}`);
}

function find(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return find(path);
    return /\.tsx?$/.test(entry.name) && !entry.name.endsWith(".d.ts") ? [path] : [];
  });
}

function exists(file) {
  return statSync(join(root, file), { throwIfNoEntry: false })?.isFile() ?? false;
}
