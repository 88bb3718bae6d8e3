import { startOf } from "../../../core/text/clean-text.ts";
import { SEVERITY_OF_LEVEL } from "../../../core/text/vocabulary.ts";
import { levelOfWord, wordsFor } from "../../../core/text/words.ts";

/** Statement of a subject about a problem. */
export interface SubjectState {
  /** The subject without the words about its state: for people. */
  readonly title: string;
  readonly status: "firing" | "resolved" | "acknowledged" | "event";
  readonly level: "critical" | "error" | "warning" | "info" | null;
}

type Said = Pick<Partial<SubjectState>, "status" | "level">;

const FIRING: Said = { status: "firing" };
const RESOLVED: Said = { status: "resolved" };

const WORDS = wordsFor("mails");

/** What a word says about a state; undefined for any other. */
function saidBy(word: string): Said | undefined {
  const row = WORDS.get(word.toLowerCase().replaceAll("-", " "));
  if (!row) return undefined;
  const { state, level } = row;
  return { ...(state && { status: state }), ...(level && { level: SEVERITY_OF_LEVEL[level] }) };
}

/**
 * Subjects of programs whose state is in the middle or in a verb. `name` is what they are about: the
 * same in each state; `state` a word that mails have in `WORDS`; `more` further text. A program is a row.
 */
const FORMS: readonly { readonly pattern: RegExp; readonly said?: Said }[] = [
  // PRTG: Ping (Ping) Down (no response), Ping (Ping) Down ENDED (now: Up)
  { pattern: /^(?<name>.{1,300}) (?:down|warning|unusual)(?: \(partial\))? (?<state>ended)\b(?<more>.*)$/iu },
  { pattern: /^(?<name>.{1,300}\(.{1,100}\)) (?<state>down|warning)(?: \(partial\))? (?<more>\(.*\))$/iu },
  // Checkmk: Checkmk: web-1/CPU OK -> CRIT
  { pattern: /^(?<name>.{1,300}?) \p{L}{2,12} ?(?:->|=>|→) ?(?<state>\p{L}{2,12})$/iu },
  // LibreNMS
  { pattern: /^alert for device (?<name>\S{1,255})(?: got (?:worse|better))? - (?<what>.+)$/iu, said: FIRING },
  { pattern: /^device (?<name>\S{1,255}) recovered from (?<what>.+)$/iu, said: RESOLVED },
  // UptimeRobot: Monitor is DOWN: Shop
  { pattern: /^(?:monitor|check|site|service|host|server) is (?<state>\p{L}{2,12}): (?<name>.+)$/iu },
  // Gatus, after the name in brackets: Alert triggered
  { pattern: /^alert (?<state>triggered|resolved)[.!]?$/iu },
  // Beszel: web-1 CPU above threshold
  {
    pattern: /^(?<name>\S{1,255} (?:cpu|memory|disk|temperature|bandwidth|load|gpu)\b.{0,100}) above threshold$/iu,
    said: FIRING,
  },
  {
    pattern: /^(?<name>\S{1,255} (?:cpu|memory|disk|temperature|bandwidth|load|gpu)\b.{0,100}) below threshold$/iu,
    said: RESOLVED,
  },
  // Monit: monit alert -- Connection failed web-1
  { pattern: /^monit alert --? +(?<what>.{1,100}) (?<state>failed|succeeded|passed) (?<name>\S+)$/iu },
  // Proxmox, scripts: Backup of db-1: OK, vzdump backup status (pve): backup failed
  { pattern: /^(?<name>.{1,300}?)(?::| [-–—]) (?:backup |job )?(?<state>\p{L}{2,12})[.!]?$/iu },
];

/** Reply and forward marks of mail programs. */
const REPLY = /^(?:re|aw|sv|fw|fwd|wg|antw)(?:\[\d{1,3}\])?:\s*/i;
const STARS = /^\*{1,3}\s*|\s*\*{1,3}$/g;
/** `[FIRING:2]`, `[Down]`, `[✅ Up]` */
const BRACKETED = /^\[[^\p{L}\]]{0,4}([\p{L}-]{2,20})(?::\d{1,6})?\]\s*/u;
/** `PROBLEM: `, `Resolved in 5m 2s: `, `RECOVERY Service Alert: `, `DOWN - `, `UP | ` */
const LEADING =
  /^[^\p{L}\p{N}[]{0,4}([\p{L}-]{2,20})(?:\s+in\s+[\dywdhms ]{2,24})?(?:\s+(?:service|host))?(?:\s+(?:alert|notification))?(?::\s*|\s+[-–—|]\s+)/iu;
/** `web/HTTP is CRITICAL`, `Connection to web-1 is down 🔴` */
const TRAILING = /\s+is\s+(?:now\s+)?(\p{L}{2,12})[.!]?[^\p{L}\p{N}]{0,8}$/iu;
/** A name in brackets, such as `[Zabbix]`: part of the title. */
const NAME = /^\[[^\]]{1,60}\]\s*/;
/** What follows them is a reason, which differs from mail to mail. */
const REASON_FOLLOWS: ReadonlySet<string> = new Set(["down", "up"]);

const MAX_MARKS = 12;

const MAX_SUBJECT = 1000;

/**
 * Reads the marks that monitoring programs put around the name of a problem. The key is the same for
 * all mails about one problem, whatever their state.
 * @param line a subject, or any other line: its start is read, each white space as one space
 */
export function parseSubject(line: string): SubjectState & { readonly key: string } {
  // The patterns take quadratic time in white space.
  const subject = startOf(line.replaceAll(/\s+/g, " ").trim(), MAX_SUBJECT);
  const marks = readMarks(subject);
  const { names } = marks;
  let { said, rest } = marks;
  let key = marks.isReason ? names.trim() : null;
  const form = said.status === undefined ? formOf(rest) : null;
  if (form) {
    said = { ...form.said, ...said };
    rest = form.title;
    key = `${names}${form.key}`;
  } else {
    const last = stateIn(TRAILING, rest);
    if (last) {
      said = { ...last.said, ...said, ...(last.said.level && { level: last.said.level }) };
      rest = rest.slice(0, -last.text.length);
    }
  }
  const title = `${names}${rest}`.trim() || subject.trim();
  const { status = "event", level = severityIn(title) } = said;
  return { title, status, level: status === "event" ? (said.level ?? null) : level, key: withoutCounts(key ?? title) };
}

interface Marks {
  readonly said: Said;
  /** In brackets. */
  readonly names: string;
  /** What is left. */
  readonly rest: string;
  /** It is a reason, and the names are what the mail is about. */
  readonly isReason: boolean;
}

/** The marks at the start. */
function readMarks(subject: string): Marks {
  let rest = subject.replaceAll(STARS, "").trim();
  let names = "";
  let said: Said = {};
  let isReason = false;
  for (let i = 0; i < MAX_MARKS; i++) {
    const reply = REPLY.exec(rest);
    const bracketed = reply ? null : stateIn(BRACKETED, rest);
    const mark = reply ? null : (bracketed ?? stateIn(LEADING, rest));
    const name = reply || mark ? null : NAME.exec(rest);
    const found = reply?.[0] ?? mark?.text ?? name?.[0];
    if (found === undefined || found.length === rest.length) break;
    // The first word about the state counts.
    if (mark) said = { ...mark.said, ...said };
    if (bracketed && names !== "" && REASON_FOLLOWS.has(bracketed.word)) isReason = true;
    if (name) names += name[0];
    rest = rest.slice(found.length).trimStart();
  }
  return { said, names, rest, isReason };
}

function formOf(rest: string): { readonly said: Said; readonly title: string; readonly key: string } | null {
  for (const { pattern, said } of FORMS) {
    const groups = pattern.exec(rest)?.groups;
    if (!groups) continue;
    const { name = "", what, state = "", more = "" } = groups;
    const found = said ?? saidBy(state);
    if (!found) continue;
    const key = what === undefined ? name : `${name}: ${what}`;
    return { said: found, title: `${key}${more === "" ? "" : ` ${more.trim()}`}`, key };
  }
  return null;
}

function stateIn(
  pattern: RegExp,
  text: string,
): { readonly text: string; readonly word: string; readonly said: Said } | null {
  const match = pattern.exec(text);
  const word = match?.[1]?.toLowerCase() ?? "";
  const said = saidBy(word);
  return match && said ? { text: match[0], word, said } : null;
}

/** Azure's subjects begin with the severity. */
function severityIn(title: string): SubjectState["level"] {
  const level = levelOfWord(/^(sev[0-4])\b/i.exec(title)?.[1] ?? "");
  return level && SEVERITY_OF_LEVEL[level];
}

/** Counters, times and durations, which differ in the mails about one problem. */
const COUNTS: readonly RegExp[] = [
  /\((?:\d+ [\p{L} ]{1,30}|[\d:.,/ -]{1,30}(?:[ap]m)?)\)/giu,
  /\b\d+ (?:failed|failures?|errors?|warnings?|succeeded|success|skipped|problems?)\b/gi,
  /\b(?:at|on|since|after|for) [\d:./T+Z-]{4,30}(?: [\d:.]{4,12})?(?: ?[ap]m)?(?: ?\(?utc\)?)?/gi,
  /\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?Z?)?\b/g,
  /\b(?:in|after|for) (?:\d+ ?(?:ms|s|m|h|d|sec|min|seconds?|minutes?|hours?|days?)\b[ ,]{0,2})+/gi,
];

function withoutCounts(text: string): string {
  const stripped = COUNTS.reduce((left, pattern) => left.replace(pattern, " "), text);
  const key = stripped.replaceAll(/[\s,]+/g, " ").trim();
  return (key === "" ? text : key).toLowerCase();
}
