// Writes the tables of docs/integrations/README.md from the presets of receivers and channels, and
// the list of the other pages. Run with tsx (npm run integrations:docs); with --check it only
// reports a difference, as a test does.
import "./node-version.mjs";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PRESETS as CHANNELS } from "../src/features/channels/presets/index.ts";
import { BUILT_IN_PRESETS as RECEIVERS } from "../src/features/intake/receivers/presets/index.ts";

const directory = join(import.meta.dirname, "../docs/integrations");
const page = join(directory, "README.md");

const SENDER_GROUPS = {
  monitoring: "Monitoring",
  platforms: "Platforms",
  formats: "Formats",
  chat: "Chat formats",
  generic: "Anything",
};
const SERVICE_GROUPS = {
  chat: "Chat",
  push: "Push",
  paging: "Paging",
  sms: "SMS and calls",
  relay: "Relays",
  generic: "Anything",
};

const linkTo = ({ title, docs }) => `[${title}](${docs}.md)`;

/** What proves that a request comes from the sender. */
function proofOf({ verify }) {
  const schemes = new Set(verify.map(({ scheme }) => scheme));
  if (schemes.has("sns")) return "certificate";
  const isSigned = schemes.has("hmac") || schemes.has("ed25519");
  const isSecret = ["credential", "header", "query", "form"].some((scheme) => schemes.has(scheme));
  return [isSigned && "signature", isSecret && "secret", !isSigned && "URL"].filter(Boolean).join(" or ");
}

function tableOf(head, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(head), `|${"---|".repeat(head.length)}`, ...rows.map(line)].join("\n");
}

function senders() {
  const rows = Object.entries(SENDER_GROUPS).flatMap(([group, title]) =>
    RECEIVERS.filter((preset) => preset.group === group).map((preset, at) => {
      return [at === 0 ? title : "", linkTo(preset), `\`${preset.name}\``, proofOf(preset)];
    }),
  );
  return tableOf(["", "program", "preset", "checked by"], rows);
}

function services() {
  const rows = Object.entries(SERVICE_GROUPS).flatMap(([group, title]) =>
    CHANNELS.filter((preset) => preset.group === group)
      .toSorted((a, b) => (a.title.toLowerCase() < b.title.toLowerCase() ? -1 : 1))
      .map((preset, at) => [at === 0 ? title : "", linkTo(preset), `\`${preset.name}\``]),
  );
  return tableOf(["", "service", "preset"], rows);
}

/** Pages of no preset, such as those of apps that speak to Prism's other APIs. */
function others() {
  const known = new Set(["README.md", ...[...RECEIVERS, ...CHANNELS].map(({ docs }) => `${docs}.md`)]);
  const names = readdirSync(directory).filter((name) => !known.has(name));
  return names
    .sort()
    .map((name) => {
      const [title] = readFileSync(join(directory, name), "utf8").split("\n", 1);
      return `- [${title.replace(/^# /, "")}](${name})`;
    })
    .join("\n");
}

function withTable(text, name, table) {
  const marked = new RegExp(`(<!-- ${name} -->\\n)[\\s\\S]*?(\\n<!-- end of ${name} -->)`);
  if (!marked.test(text)) throw new Error(`docs/integrations/README.md has no markers for the ${name}`);
  return text.replace(marked, (_, begin, end) => `${begin}${table}${end}`);
}

const text = readFileSync(page, "utf8");
const made = [
  ["programs", senders()],
  ["services", services()],
  ["others", others()],
].reduce((before, [name, table]) => withTable(before, name, table), text);
if (!process.argv.includes("--check")) writeFileSync(page, made);
else if (made !== text) {
  console.error("docs/integrations/README.md differs from the presets: run npm run integrations:docs");
  process.exit(1);
}
