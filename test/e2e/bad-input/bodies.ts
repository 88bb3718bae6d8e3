import { deflateSync, gzipSync } from "node:zlib";
import {
  type BadRequest,
  INVALID,
  JSON_TYPE,
  MALFORMED,
  type Outcome,
  RequestMaker,
  type Target,
  TOO_LARGE,
  WRONG_TYPE,
} from "./bad-request.ts";

const EVENTS = ["POST", "/api/v1/events"] as const;
const RULES = ["POST", "/api/v1/rules"] as const;
const NOTES = ["POST", "/api/v1/notifications"] as const;
const NDJSON = "Content-Type: application/x-ndjson";
const GZIP = [JSON_TYPE, "Content-Encoding: gzip"];
const MIB = 1_048_576;

const nested = (levels: number, open: string, close: string): string => open.repeat(levels) + close.repeat(levels);
const bytes = (...values: number[]): Buffer => Buffer.from(values);

/** Bodies that are no JSON text, for any route. */
const NOT_JSON: readonly (readonly [string, string | Buffer])[] = [
  ["words", "hello"],
  ["half an object", '{"name":'],
  ["half a string", '{"name":"x'],
  ["half an escape", '{"name":"\\u00'],
  ["an unknown escape", '{"name":"\\x41"}'],
  ["two values", "{} {}"],
  ["a trailing comma", '{"name":"x",}'],
  ["a leading comma", '{,"name":"x"}'],
  ["no colon", '{"name" "x"}'],
  ["a name without quotes", '{name:"x"}'],
  ["single quotes", "{'name':'x'}"],
  ["a comment", '{"name":"x"} // that is it'],
  ["NaN", '{"priority":NaN}'],
  ["Infinity", '{"priority":Infinity}'],
  ["undefined", '{"priority":undefined}'],
  ["a hexadecimal number", '{"priority":0x10}'],
  ["a leading zero", '{"priority":01}'],
  ["a plus sign", '{"priority":+1}'],
  ["a bare newline in a string", '{"name":"a\nb"}'],
  ["a bare NUL in a string", '{"name":"a\0b"}'],
  ["a NUL behind it", '{"name":"x"}\0'],
  ["white space alone", "  \n "],
  ["XML", "<event/>"],
  ["a form", "type=a&payload=b"],
  ["a byte order mark", "\ufeff{}"],
  ["a bracket too many", '{"name":"x"}}'],
  ["brackets that cross", '{"a":[}]'],
  ["bytes that are no JSON in any encoding", bytes(0x7b, 0xff, 0x7d)],
  ["UTF-16", Buffer.from('{"name":"x"}', "utf16le")],
  ["random bytes", bytes(0x93, 0x1f, 0x00, 0xff, 0x10, 0x80, 0xfe)],
  ["33 levels of objects", `${'{"a":'.repeat(32)}{}${"}".repeat(32)}`],
  ["34 levels of arrays", nested(34, "[", "]")],
  ["a thousand levels in a member", `{"payload":${nested(1000, "[", "]")}}`],
  ["a hundred thousand open brackets", "[".repeat(100_000)],
  ["a hundred thousand open objects", '{"a":'.repeat(100_000)],
];

/** JSON with a member of an unknown name, in windows-1252. */
const OTHER_BYTES: readonly (readonly [string, Buffer])[] = [
  ["bytes that are no UTF-8", bytes(0x7b, 0x22, 0xc3, 0x28, 0x22, 0x3a, 0x31, 0x7d)],
  ["a cut character", bytes(0x7b, 0x22, 0xe2, 0x82, 0x22, 0x3a, 0x31, 0x7d)],
  ["an encoded surrogate", bytes(0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d)],
  ["an overlong encoding", bytes(0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x3a, 0x31, 0x7d)],
  ["a character beyond Unicode", bytes(0x7b, 0x22, 0xf4, 0x90, 0x80, 0x80, 0x22, 0x3a, 0x31, 0x7d)],
];

/** JSON of the wrong form, for each route. */
const WRONG_FORM: readonly (readonly [string, readonly [string, string], string | Buffer, Outcome])[] = [
  ...["null", "true", "1", "-0.5e3", '"text"'].flatMap((text) =>
    [EVENTS, RULES, NOTES].map((route) => [`${text} as the body of ${route[1]}`, route, text, INVALID] as const),
  ),
  ...OTHER_BYTES.flatMap(([name, body]) =>
    [EVENTS, RULES, NOTES].map((route) => [`${name}, to ${route[1]}`, route, body, INVALID] as const),
  ),
  ["an array as a rule", RULES, "[]", INVALID],
  ["an array as a notification", NOTES, '[{"title":"t"}]', INVALID],
  ["an event in an array twice", EVENTS, '[[{"type":"a"}]]', { status: 422, code: "BATCH_REJECTED" }],
  ["no events at all", EVENTS, "[]", INVALID],
  ["an event without type", EVENTS, "{}", INVALID],
  ["a type that only a prototype has", EVENTS, '{"__proto__":{"type":"a"}}', INVALID],
  ["a rule that only a prototype has", RULES, '{"__proto__":{"name":"n","condition":"true"}}', INVALID],
  ["constructor in a rule", RULES, '{"name":"n","condition":"true","constructor":{}}', INVALID],
  ["__proto__ in a timer", ["POST", "/api/v1/time/trigger"], '{"label":"l","delayMs":1,"__proto__":{}}', INVALID],
  ["prototype in a project", ["POST", "/api/v1/projects"], '{"name":"n","prototype":1}', INVALID],
  ["a good member, then a bad one of its name", EVENTS, '{"type":"a","type":5}', INVALID],
  ["a good name, then an empty one", ["POST", "/api/v1/projects"], '{"name":"n","name":""}', INVALID],
  ["a name of lone surrogates", ["POST", "/api/v1/projects"], '{"name":"\\ud800\\ud800\\udbff"}', INVALID],
  ["a name of controls", ["POST", "/api/v1/projects"], '{"name":"\\u0000\\u0007\\u001b"}', INVALID],
  ["a name of direction marks", ["POST", "/api/v1/projects"], '{"name":"\\u202e\\u2066"}', INVALID],
  ["a batch of nothing but errors", EVENTS, '[{"type":""},{},{"type":5}]', { status: 422, code: "BATCH_REJECTED" }],
  ["an array that ends in a comma", EVENTS, '[{"type":"a"},]', MALFORMED],
  ["an array without commas", EVENTS, '[{"type":"a"} {"type":"b"}]', MALFORMED],
  ["an array that does not end", EVENTS, '[{"type":"a"}', MALFORMED],
  ["an array and more", EVENTS, '[{"type":"a"}] x', MALFORMED],
  ["a good event and one that is no JSON", EVENTS, '[{"type":"a"},{"type":}]', MALFORMED],
];

const TYPES = [
  "text/plain",
  "text/json",
  "application/xml",
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=x",
  "application/json-patch+json",
  "application/vnd.api+json",
  "application/json; charset=x-none",
  "application/json/",
  "json",
  "*/*",
  "application/json, text/plain",
];

function wrongTypes(make: RequestMaker): BadRequest[] {
  const body = '{"name":"n"}';
  return [
    ...TYPES.map((type) => make.send(`as ${type}`, RULES, body, WRONG_TYPE, [`Content-Type: ${type}`])),
    make.send("without a type", RULES, body, WRONG_TYPE, []),
    make.send("with two types", RULES, body, WRONG_TYPE, [JSON_TYPE, "Content-Type: text/plain"]),
    make.send("a rule as NDJSON", RULES, body, WRONG_TYPE, [NDJSON]),
    make.send("an event as an image", EVENTS, '{"type":"a"}', WRONG_TYPE, ["Content-Type: image/png"]),
  ];
}

function encodings(make: RequestMaker): BadRequest[] {
  const event = '{"type":"a"}';
  const zipped = gzipSync(event);
  const bomb = gzipSync(Buffer.alloc(64 * MIB, 0x20), { level: 9 });
  const bad = (name: string, body: Buffer, outcome: Outcome) => make.send(name, EVENTS, body, outcome, GZIP);
  const broken = Buffer.from(zipped);
  broken[broken.length - 8] = (broken[broken.length - 8] ?? 0) ^ 0xff;
  return [
    bad("gzip that is none", Buffer.from(event), MALFORMED),
    bad("gzip cut short", zipped.subarray(0, -6), MALFORMED),
    bad("the head of gzip alone", zipped.subarray(0, 10), MALFORMED),
    bad("gzip with a wrong checksum", broken, MALFORMED),
    bad("gzip with more behind it", Buffer.concat([zipped, Buffer.from("more")]), MALFORMED),
    bad("zlib under the name of gzip", deflateSync(event), MALFORMED),
    bad("gzip twice under one name", gzipSync(zipped), MALFORMED),
    bad("gzip of what is no UTF-8", gzipSync(bytes(0x7b, 0xff, 0x7d)), MALFORMED),
    bad("gzip of half an event", gzipSync('{"type":'), MALFORMED),
    bad("a gzip bomb of 64 MiB", bomb, TOO_LARGE),
    bad("a gzip bomb of 1 MiB", gzipSync(Buffer.alloc(MIB, 0x20), { level: 9 }), TOO_LARGE),
    ...["gzip, gzip", "deflate", "br", "zstd", "identity", "x"].map((encoding) =>
      make.send(`encoded as ${encoding}`, EVENTS, zipped, WRONG_TYPE, [JSON_TYPE, `Content-Encoding: ${encoding}`]),
    ),
    make.send("a rule in gzip", RULES, zipped, WRONG_TYPE, GZIP),
    make.send("a notification in gzip", NOTES, zipped, WRONG_TYPE, GZIP),
  ];
}

function sizes(make: RequestMaker): BadRequest[] {
  const chunked = [JSON_TYPE, "Transfer-Encoding: chunked"];
  const chunk = (size: number): string => `${size.toString(16)}\r\n${" ".repeat(size)}\r\n`;
  return [
    make.send("a rule of 1 MiB and a byte, said", RULES, "", TOO_LARGE, [JSON_TYPE, `Content-Length: ${MIB + 1}`]),
    make.send("events of 8 MiB and a byte, said", EVENTS, "", TOO_LARGE, [JSON_TYPE, `Content-Length: ${8 * MIB + 1}`]),
    make.send("a terabyte, said", EVENTS, "", TOO_LARGE, [JSON_TYPE, "Content-Length: 1099511627776"]),
    make.send("a rule of 1 MiB and a byte", RULES, `{"name":"${"x".repeat(MIB)}"}`, TOO_LARGE),
    make.send("a rule of more than 1 MiB in chunks", RULES, chunk(MIB / 2).repeat(3), TOO_LARGE, chunked),
    make.send("events of more than 8 MiB in chunks", EVENTS, chunk(MIB).repeat(9), TOO_LARGE, chunked),
    make.send(
      "a payload of 256 KiB and more",
      EVENTS,
      `{"type":"a","payload":{"x":"${"x".repeat(262_144)}"}}`,
      TOO_LARGE,
    ),
    make.send("10 001 events", EVENTS, `[${'{"type":"a"},'.repeat(10_000)}{"type":"a"}]`, {
      status: 413,
      code: "BATCH_TOO_LARGE",
    }),
    make.send("10 001 lines", EVENTS, '{"type":"a"}\n'.repeat(10_001), { status: 413, code: "BATCH_TOO_LARGE" }, [
      NDJSON,
    ]),
    make.send("lines that are none", EVENTS, "a\nb\n{\n", { status: 422, code: "BATCH_REJECTED" }, [NDJSON]),
    make.send("blank lines", EVENTS, "\n \n\r\n", INVALID, [NDJSON]),
    make.send(
      "data of more than 16 KiB",
      NOTES,
      { userId: "me", title: "t", message: "m", data: { x: "x".repeat(16_384) } },
      INVALID,
    ),
    make.send(
      "an action of more than 4 KiB",
      NOTES,
      { userId: "me", title: "t", message: "m", action: { type: "x", y: "x".repeat(4096) } },
      INVALID,
    ),
    make.send("1001 recipients", NOTES, { recipients: Array(1001).fill("me"), title: "t", message: "m" }, INVALID),
    make.send("33 roles", RULES, { name: "n", condition: "true", targetRoles: Array(33).fill("Admin") }, INVALID),
  ];
}

/** Requests whose body is at fault. */
export function badBodies(target: Target): BadRequest[] {
  const make = new RequestMaker(target);
  return [
    ...NOT_JSON.flatMap(([name, body]) =>
      [EVENTS, RULES].map((route) => make.send(`${name}, to ${route[1]}`, route, body, MALFORMED)),
    ),
    ...WRONG_FORM.map(([name, route, body, outcome]) => make.send(name, route, body, outcome)),
    ...wrongTypes(make),
    ...encodings(make),
    ...sizes(make),
  ];
}
