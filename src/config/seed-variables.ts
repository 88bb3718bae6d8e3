/** Variables of the seeds' environment files that this program takes note of without using them: it says so once at start. */
const IGNORED: readonly { readonly names: RegExp; readonly why: string }[] = [
  { names: /^REDIS_(URL|HOST|PORT|PASSWORD)$/, why: "Prism needs no Redis; its broker is embedded" },
  {
    names: /^APNS_(?!(?:KEY_FILE|KEY_ID|TEAM_ID|BUNDLE_ID|PRODUCTION)(?:_FILE)?$)\w+$/,
    why: "the variables for APNs are APNS_KEY_FILE, APNS_KEY_ID, APNS_TEAM_ID, APNS_BUNDLE_ID and APNS_PRODUCTION",
  },
];

/** @returns one sentence per reason, naming the variables that are set. */
export function ignoredSeedVariables(environment: Readonly<Record<string, string | undefined>>): string[] {
  return IGNORED.flatMap(({ names, why }) => {
    const set = Object.keys(environment).filter((name) => names.test(name) && environment[name] !== "");
    return set.length === 0 ? [] : [`${set.sort().join(", ")} ${set.length === 1 ? "is" : "are"} ignored: ${why}`];
  });
}

/** A database URL of another engine is ignored (D33). @returns the warning, or undefined when the URL or path is one of SQLite. */
export function foreignDatabaseUrl(url: string): string | undefined {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
  if (scheme === undefined || scheme === "file" || scheme === "sqlite" || scheme.length === 1) return undefined;
  return `databaseUrl (DATABASE_URL) points at ${scheme}: and is ignored; the database is the file in the data directory`;
}

/** The path of a `file:` or `sqlite:` URL (https://www.sqlite.org/uri.html), or the path itself. */
export function databasePath(url: string): string {
  const path = /^(?:file|sqlite):(?:\/\/(?:localhost(?=\/))?)?(.*)$/is.exec(url)?.[1];
  return path === undefined ? url : decodePath(path.replace(/[?#].*$/s, ""));
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
