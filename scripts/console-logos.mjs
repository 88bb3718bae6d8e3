// Copies logos of the gallery of Connect from the package simple-icons (CC0-1.0) into one file, which
// is committed: console/pages/connect/logos.ts. Usage: node scripts/console-logos.mjs [--check]
import "./node-version.mjs";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const source = join(root, "node_modules/simple-icons");
const OUTPUT = join(root, "console/pages/connect/logos.ts");

/** The icon of each preset; presets that are not here have a letter. */
const ICONS = {
  alertmanager: "prometheus",
  argocd: "argo",
  datadog: "datadog",
  discord: "discord",
  dockerhub: "docker",
  forgejo: "forgejo",
  github: "github",
  gitlab: "gitlab",
  "google-chat": "googlechat",
  grafana: "grafana",
  "home-assistant": "homeassistant",
  jenkins: "jenkins",
  jira: "jira",
  line: "line",
  matrix: "matrix",
  mattermost: "mattermost",
  "mattermost-api": "mattermost",
  "nextcloud-talk": "nextcloud",
  ntfy: "ntfy",
  opsgenie: "opsgenie",
  pagerduty: "pagerduty",
  proxmox: "proxmox",
  pushbullet: "pushbullet",
  "rocket-chat": "rocketdotchat",
  "rocket-chat-api": "rocketdotchat",
  sentry: "sentry",
  signal: "signal",
  "splunk-on-call": "splunk",
  stripe: "stripe",
  synology: "synology",
  "synology-chat": "synology",
  telegram: "telegram",
  threema: "threema",
  truenas: "truenas",
  unraid: "unraid",
  "uptime-kuma": "uptimekuma",
  vonage: "vonage",
  webex: "webex",
  whatsapp: "whatsapp",
  zulip: "zulip",
};

/** Icons are one path in a box of 24. */
function pathOf(icon) {
  const svg = readFileSync(join(source, `icons/${icon}.svg`), "utf8");
  const found = /<svg [^>]*viewBox="0 0 24 24"[^>]*><title>[^<]*<\/title><path d="([^"]+)"\/><\/svg>/.exec(svg);
  if (!found) throw new Error(`${icon}.svg is not one path`);
  return found[1];
}

/** As the formatter writes it: it breaks long lines, not after short names. */
function member(name, value) {
  const key = `  ${/^[a-z]+$/.test(name) ? name : JSON.stringify(name)}:`;
  const line = `${key} "${value}",`;
  return line.length > 120 && name.length > 4 ? `${key}\n    "${value}",` : line;
}

export function logosFile() {
  const { version, license } = JSON.parse(readFileSync(join(source, "package.json"), "utf8"));
  const icons = [...new Set(Object.values(ICONS))].sort();
  return `// Made by scripts/console-logos.mjs from simple-icons ${version} (${license}, https://simpleicons.org).
// The logos are trademarks of their owners.

/** Paths in a box of 24, by the name of the icon. */
const PATHS: Readonly<Record<string, string>> = {
${icons.map((icon) => member(icon, pathOf(icon))).join("\n")}
};

/** The icon of each preset. */
const ICONS: Readonly<Record<string, string>> = {
${Object.entries(ICONS)
  .map(([preset, icon]) => member(preset, icon))
  .join("\n")}
};

export function logoOf(preset: string): string | undefined {
  return PATHS[ICONS[preset] ?? ""];
}
`;
}

if (process.argv[1] === import.meta.filename) {
  const text = logosFile();
  if (!process.argv.includes("--check")) writeFileSync(OUTPUT, text);
  else if (readFileSync(OUTPUT, "utf8") !== text) throw new Error("console/pages/connect/logos.ts is not up to date");
}
