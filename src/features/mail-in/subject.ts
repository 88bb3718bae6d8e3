/** What a subject says about a problem. */
export interface SubjectState {
  /** The subject without the words about its state: the same for all mails about one problem. */
  readonly title: string;
  readonly status: "firing" | "resolved" | "acknowledged" | "event";
  readonly level: "critical" | "error" | "warning" | "info" | null;
}

type Said = Pick<Partial<SubjectState>, "status" | "level">;

const FIRING: Said = { status: "firing" };
const RESOLVED: Said = { status: "resolved" };

/** Words before the text of a subject, in lower case. */
const WORDS: Readonly<Record<string, Said>> = {
  ...Object.fromEntries(["problem", "firing", "alert", "alarm", "down", "triggered"].map((word) => [word, FIRING])),
  ...Object.fromEntries(
    ["resolved", "recovery", "recovered", "ok", "up", "cleared", "fixed", "normal"].map((word) => [word, RESOLVED]),
  ),
  ...Object.fromEntries(["acknowledgement", "acknowledged"].map((word) => [word, { status: "acknowledged" }])),
  ...Object.fromEntries(
    ["critical", "crit", "emergency", "fatal"].map((word) => [word, { ...FIRING, level: "critical" }]),
  ),
  ...Object.fromEntries(["error", "failed", "failure"].map((word) => [word, { ...FIRING, level: "error" }])),
  ...Object.fromEntries(["warning", "warn", "unknown"].map((word) => [word, { ...FIRING, level: "warning" }])),
  ...Object.fromEntries(["info", "notice"].map((word) => [word, { level: "info" }])),
};

/** Reply and forward marks of mail programs. */
const REPLY = /^(?:re|aw|sv|fw|fwd|wg|antw)(?:\[\d{1,3}\])?:\s*/i;
const STARS = /^\*{1,3}\s*|\s*\*{1,3}$/g;
/** `[FIRING:2]`, `[Down]`, `[✅ Up]` */
const BRACKETED = /^\[[^\p{L}\]]{0,4}(\p{L}{2,20})(?::\d{1,6})?\]\s*/u;
/** `PROBLEM: `, `Resolved in 5m 2s: `, `RECOVERY Service Alert: `, `DOWN - ` */
const LEADING =
  /^[^\p{L}\p{N}[]{0,4}(\p{L}{2,20})(?:\s+in\s+[\dywdhms ]{2,24})?(?:\s+(?:service|host))?(?:\s+(?:alert|notification))?(?::\s*|\s+[-–—]\s+)/iu;
/** `web/HTTP is CRITICAL` */
const TRAILING = /\s+is\s+(?:now\s+)?(\p{L}{2,12})[.!]?$/iu;
/** A name in brackets, such as `[Zabbix]`: part of the title. */
const NAME = /^\[[^\]]{1,60}\]\s*/;

const MAX_MARKS = 12;

/** Reads the marks that monitoring programs put around the name of a problem. */
export function readSubject(subject: string): SubjectState {
  let rest = subject.replaceAll(STARS, "").trim();
  let names = "";
  let said: Said = {};
  for (let i = 0; i < MAX_MARKS; i++) {
    const reply = REPLY.exec(rest);
    const mark = reply ? null : (stateIn(BRACKETED, rest) ?? stateIn(LEADING, rest));
    const name = reply || mark ? null : NAME.exec(rest);
    const found = reply?.[0] ?? mark?.text ?? name?.[0];
    if (found === undefined || found.length === rest.length) break;
    // The first word about the state counts.
    if (mark) said = { ...mark.said, ...said };
    if (name) names += name[0];
    rest = rest.slice(found.length).trimStart();
  }
  const last = stateIn(TRAILING, rest);
  if (last) {
    said = { ...last.said, ...said, ...(last.said.level && { level: last.said.level }) };
    rest = rest.slice(0, -last.text.length);
  }
  const title = `${names}${rest}`.trim() || subject.trim();
  const { status = "event", level = null } = said;
  return { title, status, level };
}

function stateIn(pattern: RegExp, text: string): { readonly text: string; readonly said: Said } | null {
  const match = pattern.exec(text);
  const word = match?.[1]?.toLowerCase();
  const said = word === undefined ? undefined : Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
  return match && said ? { text: match[0], said } : null;
}
