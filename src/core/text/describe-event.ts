import { recentlyUsed } from "../limits/ttl-cache.ts";
import { cleanText, firstLine, isPlainLine, LINE_LENGTH, oneLine, startOf } from "./clean-text.ts";
import { type BodyDescription, describeBody } from "./describe-body.ts";
import { firstOf, type Members, objectIn, partsIn, scalar, wrappedIn } from "./members.ts";
import { USUAL } from "./names.ts";
import { withoutMarkup } from "./plain-text.ts";
import type { Level } from "./vocabulary.ts";
import { levelOfWord, type State, wordsFor } from "./words.ts";

/** The members of an event that its description is made of. */
export interface DescribedEvent {
  readonly type: string;
  readonly level: string;
  readonly source: string | null;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** An event in words for a person who has not seen it. Texts are plain and of one line, unless noted. */
export interface EventDescription {
  /** Title; never empty, at most 80 code units. */
  readonly title: string;
  /** How bad it is and where, a line; then {@link body}. At most 4000 code units. */
  readonly text: string;
  /** The event's own text without the title; several lines, may be empty. */
  readonly message: string;
  /** {@link message}, or else the first values. */
  readonly body: string;
  /** Level of the event, or a worse one that its payload names. */
  readonly level: Level;
  /** The http or https URL that the event names. */
  readonly link?: string;
  /** Short values that the title and the text do not show, at most eight. No names of secrets. */
  readonly fields: readonly { readonly title: string; readonly value: string }[];
}

const TITLE_LENGTH = 80;
const TEXT_LENGTH = 4000;
const VALUE_LENGTH = 200;
/** Characters of long texts that are cleaned for one event; further texts are not looked at. */
const MOST_CLEANED = 30_000;
const MAX_URL = 2048;
const MAX_FIELDS = 8;
const BODY_FIELDS = 4;
const MOST_PLACES = 3;
/** Elements of a list of alerts or commits. */
const MAX_PARTS = 50;

const ALL_WRAPPERS = [...USUAL.wrappers, ...USUAL.outerWrappers];
/** Types that say nothing, so that an event needs another title. */
const VAGUE = /^(?:|event|events|message|webhook|notification|alert|test|unknown)$/i;
const STATE_WORDS = wordsFor("titles");
/** Longer members of a payload are not looked at one by one. */
const MAX_MEMBERS = 200;
/** The payload and what it wraps. */
const MAX_SCOPES = 40;
const NAME_LENGTH = 60;
const SECRET =
  /pass(?:w|phrase|$)|pwd|kennwort|secret|token|auth(?!or)|bearer|jwt|api[-_]?key|access[-_]?key|signature|session|otp$|^pin$|cookie|credential|private|dsn|connection[-_]?string/i;
/** A URL with a password, and credentials of HTTP. */
const CREDENTIAL = /:\/\/[^/\s:]*:[^/\s@]*@|^(?:Basic|Bearer) /i;
/** Members that say nothing to a person, or that a message shows in another place. */
const DULL =
  /^(?:id|messageId|uuid|key|guid|hash|sha|ref|type|object|method|version|api_version|livemode|status|state|action|fingerprint)$|^is[A-Z]|(?:At|_at|time|Time|timestamp|Timestamp|date|Date|_url|URL|Url)$/;
const SHOWN_ELSEWHERE: ReadonlySet<string> = new Set([
  ...USUAL.titles,
  ...USUAL.texts,
  ...USUAL.levels,
  ...USUAL.links,
  "alertname",
]);
const OPAQUE = /^(?:[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{24,}|https?:\/\/\S+)$/i;
const LEVEL_WORDS: Readonly<Record<Level, string>> = {
  debug: "Debug",
  info: "Info",
  warn: "Warning",
  error: "Error",
  fatal: "Critical",
};
const VENDORS: Readonly<Record<string, string>> = { github: "GitHub", gitlab: "GitLab" };

/**
 * Describes an event for the title, the text, the colour and the link of a notification, by the
 * usual names of members, or by those of any JSON if they say nothing. Pure; reads the payload only as
 * deep as its known wrappers.
 * @param note a short addition to the first line of the text
 */
export function describeEvent(event: DescribedEvent, note?: string): EventDescription {
  const facts = new Facts(event.payload);
  const said = facts.text();
  const unknown = unknownOf(event, facts, said);
  const body = unknown?.reason ?? said;
  const { title, level, places } =
    facts.areNone && !isVague(event.type) ? knownHead(event, facts) : headOf(event, facts, said, unknown);
  const rest = body === "" ? "" : withoutTitle(body, title);
  const fields = facts.fields([title, rest, ...places]);
  const shown = rest === "" ? bodyOf(fields) : rest;
  // Most senders of an event without a level have chosen none: it is not called harmless.
  const lead = level === "info" || level === "debug" ? [...places] : [LEVEL_WORDS[level], ...places];
  if (note !== undefined) lead.push(note);
  const parts = [lead.join(" · "), shown].filter((part) => part !== "");
  const link = facts.link() ?? urlOf(unknown?.link ?? "");
  const description = {
    title,
    text: startOf(parts.join("\n") || LEVEL_WORDS[level], TEXT_LENGTH),
    message: rest,
    body: shown,
    level,
    fields: rest === "" ? fields.slice(BODY_FIELDS) : fields,
  };
  return link === undefined ? description : { ...description, link };
}

/** What the title and the first line are made of. */
interface Head {
  readonly title: string;
  readonly level: Level;
  readonly places: readonly string[];
}

function headOf(event: DescribedEvent, facts: Facts, body: string, unknown?: BodyDescription): Head {
  const level = levelOf(event, facts);
  const isDefault = level === "info" && (levelOfWord(event.level) ?? "info") === "info";
  const title = unknown === undefined ? titleOf(event, facts, body) : shortened(unknownTitle(unknown, event.source));
  return { title, level: (isDefault ? unknown?.level : null) ?? level, places: placesOf(event, facts, title) };
}

/** Of an event with a type that says something and no known member: it depends on level, type and source alone. */
function knownHead(event: DescribedEvent, facts: Facts): Head {
  const { level, type, source } = event;
  const key = source === null ? `${level} ${type}` : `${level} ${type}\n${source}`;
  const known = heads.get(key);
  if (known) return known;
  const head = headOf(event, facts, "");
  if (key.length <= VALUE_LENGTH) heads.set(key, head);
  return head;
}

function bodyOf(fields: EventDescription["fields"]): string {
  let text = "";
  for (const { title, value } of fields.slice(0, BODY_FIELDS)) text += `${text === "" ? "" : ", "}${title}: ${value}`;
  return text;
}

const REPOSITORY = ["repository"];
const CLOUD_EVENT = ["cloudevent"];
const PLACES = [...USUAL.hosts, ...USUAL.services];
/** All names that are looked for. */
const { ofThings: _, ...SEARCHED } = USUAL;
const KNOWN: ReadonlySet<string> = new Set([...Object.values(SEARCHED).flat(), ...REPOSITORY, ...CLOUD_EVENT]);

/** An object and its known members: most payloads have few of the hundred names. */
interface Scope {
  readonly members: Members;
  readonly known: readonly string[];
}

function scopeOf(members: Members): Scope {
  return { members, known: Object.keys(members).filter((name) => KNOWN.has(name)) };
}

/** In the order of `names`. */
function namesIn({ known }: Scope, names: readonly string[]): readonly string[] {
  return known.length === 0 ? known : names.filter((name) => known.includes(name));
}

function wrappedScopes(scope: Scope, names: readonly string[]): Scope[] {
  return wrappedIn(scope.members, namesIn(scope, names)).map(scopeOf);
}

/** The look-up of members by their usual names: the payload first, then what it wraps. */
class Facts {
  readonly #scopes: readonly Scope[];
  readonly payload: Members;
  /** No member has a known name. */
  readonly areNone: boolean;
  #room = MOST_CLEANED;

  constructor(payload: Members) {
    const own = scopeOf(payload);
    this.payload = payload;
    this.areNone = own.known.length === 0 && !Object.hasOwn(payload, "alerts");
    this.#scopes = this.areNone ? [own] : Facts.#scopesOf(own, payload);
  }

  static #scopesOf(own: Scope, payload: Members): readonly Scope[] {
    const inner = wrappedScopes(own, ALL_WRAPPERS);
    const deeper = inner.flatMap((each) => wrappedScopes(each, USUAL.wrappers));
    // The webhook of Alertmanager and what resembles it: the first alert speaks for all.
    const [first] = partsIn(payload, "alerts", MAX_PARTS).map(scopeOf);
    const alert = first === undefined ? [] : [first, ...wrappedScopes(first, USUAL.wrappers)];
    return [own, ...inner, ...deeper, ...alert].slice(0, MAX_SCOPES);
  }

  /** Whether a text may still be worked on, up to a length. */
  #hasRoom(text: string, length: number): boolean {
    if (text.length > VALUE_LENGTH) this.#room -= Math.min(text.length, length);
    return this.#room >= 0;
  }

  #oneLine(text: string): string {
    return this.#hasRoom(text, LINE_LENGTH) ? oneLine(text) : "";
  }

  /** The first value of these names, in one line. */
  line(names: readonly string[]): string | undefined {
    for (const scope of this.#scopes) {
      for (const name of namesIn(scope, names)) {
        const text = this.#oneLine(scalar(scope.members, name));
        if (text !== "") return text;
      }
    }
    return undefined;
  }

  text(): string {
    for (const scope of this.#scopes) {
      for (const name of namesIn(scope, USUAL.texts)) {
        const value = scalar(scope.members, name);
        if (!this.#hasRoom(value, TEXT_LENGTH * 2)) continue;
        const text = cleanText(startOf(value, TEXT_LENGTH * 2)).trim();
        // What a payload wraps is of another program, and may be HTML.
        if (text !== "") return scope.members === this.payload ? text : withoutMarkup(text, { withLinks: true });
      }
    }
    return "";
  }

  link(): string | undefined {
    for (const scope of this.#scopes) {
      for (const name of namesIn(scope, USUAL.links)) {
        if (!this.#hasRoom(scalar(scope.members, name), MAX_URL)) continue;
        const url = urlOf(scalar(scope.members, name));
        if (url !== undefined) return url;
      }
    }
    const repository = objectIn(this.payload, "repository");
    return urlOf(scalar(repository, "html_url"));
  }

  /** Names of things may be objects of them: `repository.full_name`, `sender.login`. */
  named(names: readonly string[]): string | undefined {
    for (const scope of this.#scopes) {
      for (const name of namesIn(scope, names)) {
        const within = objectIn(scope.members, name);
        const text = within
          ? this.#oneLine(firstOf(within, USUAL.ofThings))
          : this.#oneLine(scalar(scope.members, name));
        if (text !== "" && text.length <= VALUE_LENGTH) return text;
      }
    }
    return undefined;
  }

  /** @param shown texts whose values are left out */
  fields(shown: readonly string[]): EventDescription["fields"] {
    const fields: { readonly title: string; readonly value: string }[] = [];
    const all = shown.join("\n").toLowerCase();
    let words: ReadonlySet<string> | undefined;
    const isWord = (text: string): boolean => {
      words ??= new Set(all.split(/[^\p{L}\p{N}]+/u));
      return words.has(text);
    };
    const values = wrappedIn(this.payload, USUAL.values);
    const object = objectIn(objectIn(this.payload, "data"), "object");
    // A body that a receiver keeps beside its mapping says it all again, in the sender's own names.
    const others = values.length === 0 ? this.#scopes.slice(1).map(({ members }) => members) : [];
    let seen = 0;
    for (const scope of [this.payload, ...values, ...(object ? [object] : []), ...others]) {
      for (const title of Object.keys(scope)) {
        if (fields.length >= MAX_FIELDS || ++seen > MAX_MEMBERS) return fields;
        const value = scalar(scope, title);
        if (value === "" || value.length > VALUE_LENGTH || OPAQUE.test(value) || CREDENTIAL.test(value)) continue;
        const { isHidden, shownAs: name } = memberName(title);
        if (isHidden) continue;
        const line = oneLine(value);
        const compared = line.toLowerCase();
        // A short value must be a word of the text: `eu` is not shown by `queue`.
        const isShown = all.includes(compared) && (compared.length > 3 || isWord(compared));
        if (line !== "" && !isShown && !fields.some((each) => each.title === name))
          fields.push({ title: name, value: line });
      }
    }
    return fields;
  }
}

interface MemberName {
  readonly isHidden: boolean;
  readonly shownAs: string;
}

/** Senders repeat their names and types: a look-up costs less than five regular expressions. */
const memberNames = recentlyUsed<string, MemberName>(1000);
const sentences = recentlyUsed<string, string>(1000);
const heads = recentlyUsed<string, Head>(1000);

function memberName(name: string): MemberName {
  const known = memberNames.get(name);
  if (known) return known;
  const isHidden = name.length > VALUE_LENGTH || SHOWN_ELSEWHERE.has(name) || DULL.test(name) || SECRET.test(name);
  const found = { isHidden, shownAs: isHidden ? "" : startOf(oneLine(name), NAME_LENGTH) };
  if (name.length <= NAME_LENGTH) memberNames.set(name, found);
  return found;
}

function titleOf(event: DescribedEvent, facts: Facts, text: string): string {
  const state = facts.line(USUAL.states);
  const given = givenTitle(event, facts);
  const title = given ?? madeTitle(event, facts, text, state);
  if (state === undefined || given === undefined) return shortened(title);
  const said = stateOf(state);
  if (said === "acknowledged" && !/acknowledged/i.test(title)) return shortened(`Acknowledged: ${title}`);
  const isOver = said === "resolved" && !/resolved|recovered|\bok\b|\bup\b|closed|fixed/i.test(title);
  return shortened(isOver ? `Resolved: ${title}` : title);
}

/** `com.example.disk.full` is no title. */
function givenTitle({ type }: DescribedEvent, facts: Facts): string | undefined {
  const named = facts.line(USUAL.titles);
  return named === type ? undefined : named;
}

/** The title of an event that has none. */
function madeTitle({ type, source }: DescribedEvent, facts: Facts, text: string, state: string | undefined): string {
  const repository = facts.named(REPOSITORY);
  if (type === "receiver.unmapped") return `Request with an unknown form at ${oneLine(source ?? "a receiver")}`;
  const plain = knownSentence(type);
  const saysNothing = isVague(type);
  const words = withState(plain, state);
  if (repository !== undefined) return ofRepository(plain, repository, facts, state);
  const name = nameIn(facts);
  const first = firstLine(text);
  if (saysNothing && first !== "") return name === undefined ? first : joined(name, first);
  if (saysNothing && name !== undefined) return state === undefined ? `Event about ${name}` : `${name}: ${state}`;
  const said = name ?? first;
  return said === "" ? `${words}${source === null ? "" : ` from ${oneLine(source)}`}` : joined(words, said);
}

function isVague(type: string): boolean {
  return VAGUE.test(type) || knownSentence(type) === "";
}

function isShown(name: string, value: unknown): boolean {
  return !SECRET.test(name) && !(typeof value === "string" && CREDENTIAL.test(value));
}

/** Of an event of which neither its type nor a usual name says what it is about. */
function unknownOf(event: DescribedEvent, facts: Facts, text: string): BodyDescription | undefined {
  if (text !== "" || !isVague(event.type)) return undefined;
  const isNamed =
    !facts.areNone && (givenTitle(event, facts) ?? facts.named(REPOSITORY) ?? nameIn(facts)) !== undefined;
  return isNamed ? undefined : describeBody(facts.payload, "", isShown);
}

function unknownTitle({ what, where, title }: BodyDescription, source: string | null): string {
  if (what !== null || where !== null) return oneLine(title);
  return source === null ? "Event without a text" : `Event without a text from ${oneLine(source)}`;
}

function nameIn(facts: Facts): string | undefined {
  return facts.line(USUAL.names) ?? facts.named(CLOUD_EVENT) ?? facts.named(PLACES);
}

/** `Payment` with the status `failed` becomes `Payment failed`. */
function withState(words: string, state: string | undefined): string {
  const isSaid = state === undefined || words.toLowerCase().includes(state.toLowerCase());
  return isSaid || !isBad(state) ? words : `${words} ${state.toLowerCase()}`;
}

/** `Backup failed: nas`; what begins with the first words already is not led by them again. */
function joined(words: string, said: string): string {
  const [start, all] = [compared(words), compared(said)];
  if (start === all) return words;
  return all.startsWith(start) && !/^[\p{L}\p{N}]/u.test(all.slice(start.length)) ? said : `${words}: ${said}`;
}

/** `backup_failed` and `Backup failed` say the same. */
function compared(text: string): string {
  return text.toLowerCase().replaceAll(/[_-]+/g, " ").trim();
}

/** `Push to acme/shop by anna: fix login`, of a body as GitHub, GitLab and Forgejo send it. */
function ofRepository(words: string, repository: string, facts: Facts, state: string | undefined): string {
  const what = words.replace(/^(?:GitHub|GitLab|Forgejo|Gitea|Bitbucket) (.)/, (_, letter: string) =>
    letter.toUpperCase(),
  );
  const isPush = /push/i.test(what);
  const who = facts.named(USUAL.actors) ?? facts.line(USUAL.actorNames);
  const run = wrappedIn(facts.payload, USUAL.works)[0];
  const commit = objectIn(facts.payload, "head_commit") ?? partsIn(facts.payload, "commits", MAX_PARTS).at(-1);
  const said = run
    ? [firstOf(run, ["name"]), firstOf(run, USUAL.outcomes) || (state ?? "")].filter(Boolean).join(" ")
    : firstLine(facts.line(["title"]) ?? scalar(commit, "message"));
  const by = who === undefined || run ? "" : ` by ${who}`;
  return `${what} ${isPush ? "to" : "in"} ${repository}${by}${said === "" ? "" : `: ${said}`}`;
}

function placesOf({ source }: DescribedEvent, facts: Facts, title: string): string[] {
  const from = oneLine(source ?? "").replace(/^\//, "");
  const candidates = [facts.named(USUAL.hosts), facts.named(USUAL.services), facts.named(USUAL.senders), from];
  const places: string[] = [];
  for (const place of candidates) {
    if (
      !place ||
      places.includes(place) ||
      OPAQUE.test(place) ||
      !/\p{L}/u.test(place) ||
      /^(?:true|false)$/.test(place)
    )
      continue;
    if (!title.toLowerCase().includes(place.toLowerCase())) places.push(startOf(place, 60));
  }
  return places.slice(0, MOST_PLACES);
}

/** A level that the sender chose stands; the default one gives way to what the payload says. */
function levelOf(event: DescribedEvent, facts: Facts): Level {
  const { level, type } = event;
  const given = levelOfWord(level) ?? "info";
  const isChosen = given !== "info";
  if (facts.areNone) return !isChosen && isBad(lastWord(type)) ? "error" : given;
  // The severity of an end is that of the problem. A chosen one stands unless the title tells of the end.
  const isOver = stateOf(facts.line(USUAL.states) ?? "") === "resolved";
  if (isOver && (!isChosen || givenTitle(event, facts) !== undefined)) return "info";
  if (isChosen) return given;
  const named = USUAL.levels.map((name) => levelOfWord(facts.line([name]) ?? "")).find((each) => each !== null);
  if (named !== undefined && named !== null) return named;
  const states = [
    ...USUAL.states.map((name) => facts.line([name]) ?? ""),
    ...wrappedIn(facts.payload, USUAL.works).map((work) => firstOf(work, USUAL.outcomes)),
  ];
  return [...states, lastWord(type)].some(isBad) ? "error" : "info";
}

function stateOf(word: string): State | undefined {
  return STATE_WORDS.get(word.toLowerCase())?.state;
}

function isBad(word: string): boolean {
  return stateOf(word) === "firing";
}

function lastWord(type: string): string {
  return type.split(/[._:/-]+/).at(-1) ?? "";
}

function knownSentence(type: string): string {
  const known = sentences.get(type);
  if (known !== undefined) return known;
  const sentence = sentenceOf(type);
  if (type.length <= VALUE_LENGTH) sentences.set(type, sentence);
  return sentence;
}

/** `payment.failed` → `Payment failed`, `com.example.scale.overload` → `Scale overload`. */
function sentenceOf(type: string): string {
  const parts = oneLine(type)
    .split(/[.:/]+/)
    .filter((part) => part !== "");
  const own = parts.length > 2 && /^(?:com|org|net|io|dev|de)$/.test(parts[0] ?? "") ? parts.slice(2) : parts;
  const words = own.join(" ").replaceAll(/[_-]+/g, " ").trim();
  const [first = ""] = words.split(" ");
  const start = VENDORS[first.toLowerCase()] ?? first.charAt(0).toUpperCase() + first.slice(1);
  return start + words.slice(first.length);
}

/** The text without a first line that the title shows, at its beginning or its end. */
function withoutTitle(text: string, title: string): string {
  const line = oneLine(firstLine(text));
  const [start, all] = [compared(line), compared(title)];
  const isShown = line !== "" && (all === start || all.startsWith(`${start}: `) || all.endsWith(`: ${start}`));
  return isShown ? text.slice(text.indexOf("\n") === -1 ? text.length : text.indexOf("\n")).trim() : text;
}

/** At the end of a word, if there is one near. */
function shortened(title: string): string {
  if (title.length <= TITLE_LENGTH) return title;
  const start = startOf(title, TITLE_LENGTH - 1);
  const space = start.lastIndexOf(" ");
  return `${(space > TITLE_LENGTH / 2 ? start.slice(0, space) : start).trimEnd()}…`;
}

function urlOf(url: string): string | undefined {
  if (url.length > MAX_URL || !/^https?:\/\//i.test(url) || !URL.canParse(url)) return undefined;
  const { href, username, password } = new URL(url);
  if (username !== "" || password !== "") return undefined;
  return isPlainLine(url) ? url : href;
}
