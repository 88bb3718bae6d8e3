import assert from "node:assert/strict";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { parseActions } from "../../../../src/features/protocols/ntfy/parameters.ts";
import { TEMPLATE_FUNCTIONS } from "../../../../src/features/protocols/ntfy/templates/sprig.ts";
import { parseTemplate } from "../../../../src/features/protocols/ntfy/templates/template.ts";
import { temporaryDir } from "../../../helpers/store.ts";
import { startNtfy } from "./support/api.ts";

const actions = (text: string) => parseActions(text).map(({ id: _id, ...rest }) => rest);

test("actions in the short form", () => {
  for (const [text, expected] of [
    ["view, Open, https://h/", [{ action: "view", label: "Open", clear: false, url: "https://h/" }]],
    [
      "action=view, label=Open, url=https://h/?a=b, clear=true;",
      [{ action: "view", label: "Open", clear: true, url: "https://h/?a=b" }],
    ],
    [
      'http, Close door, https://api/x, method=put, headers.Authorization=Bearer z, body=\'{"a":1, "b";}\', clear=yes; view, "a, \\"b\\"", https://h/',
      [
        {
          action: "http",
          label: "Close door",
          clear: true,
          url: "https://api/x",
          method: "PUT",
          headers: { Authorization: "Bearer z" },
          body: '{"a":1, "b";}',
        },
        { action: "view", label: 'a, "b"', clear: false, url: "https://h/" },
      ],
    ],
    [
      "broadcast, Photo, extras.cmd=pic, extras.camera=front, intent=x.Y",
      [{ action: "broadcast", label: "Photo", clear: false, intent: "x.Y", extras: { cmd: "pic", camera: "front" } }],
    ],
    ["copy, Code, value=123", [{ action: "copy", label: "Code", clear: false, value: "123" }]],
    ["", []],
  ] as const)
    assert.deepEqual(actions(text), expected, text);
});

test("actions as JSON", () => {
  const given = [
    {
      action: "http",
      label: "L",
      url: "https://h/",
      headers: { A: "b" },
      extras: { __proto__: "x" },
      clear: true,
      more: 1,
    },
  ];
  assert.deepEqual(actions(JSON.stringify(given)), [
    { action: "http", label: "L", clear: true, url: "https://h/", headers: { A: "b" }, extras: {} },
  ]);
});

test("wrong actions are refused with the reason", () => {
  for (const [text, reason] of [
    ["dance, x", /valid values are/],
    ["view", /'label' is required/],
    ["view, x", /'url' is required/],
    ["view, x, https://h/, extra", /term 'extra' unknown/],
    ["view, x, https://h/, nothing=1", /key 'nothing' unknown/],
    ["view, 'x, https://h/", /quote started but not closed/],
    ["view, 'x' y, https://h/", /unexpected character 'y'/],
    ["http, x, https://h/, method=GET, body=b", /'body' cannot be set/],
    ["view, x, https://h/, clear=maybe", /'clear' cannot be/],
    ["copy, x", /'value' is required/],
    ["view,a,b;view,a,b;view,a,b;view,a,b", /only 3 actions allowed/],
    ["[{}", /JSON/],
    ["[null]", /must be an object/],
    ['[{"action":"view","label":1,"url":"x"}]', /'label' must be a text/],
  ] as const)
    assert.throws(() => parseActions(text), { ntfyCode: 40018, message: reason }, text);
});

const DATA = {
  a: { b: "text", n: 5, big: 1234567 },
  list: [{ name: "x" }, { name: "y" }],
  empty: [],
  no: false,
  __proto__x: 1,
};

test("the subset of Go's templates", () => {
  for (const [template, expected] of [
    ["plain", "plain"],
    ["{{.a.b}} {{ .a.n }}", "text 5"],
    ["{{.nothing}} {{.a.nothing.more}}", "<no value> <no value>"],
    ["{{range .list}}{{.name}},{{end}}", "x,y,"],
    ["{{range $i, $e := .list}}{{$i}}={{$e.name}};{{end}}", "0=x;1=y;"],
    ["{{range .empty}}x{{else}}none{{end}}", "none"],
    ["{{range $k, $v := .a}}{{$k}}:{{$v}} {{end}}", "b:text big:1234567 n:5 "],
    ['{{if eq .a.b "text"}}yes{{else}}no{{end}}', "yes"],
    ["{{if .no}}a{{else if .list}}b{{else}}c{{end}}", "b"],
    ["{{if and .list (not .no)}}ok{{end}}", "ok"],
    ["{{if or .no (gt .a.n 4)}}ok{{end}}", "ok"],
    ["{{with .a}}{{.b}} {{$.list | len}}{{end}}", "text 2"],
    ["a {{- .a.b -}} b", "atextb"],
    ["{{/* nothing */}}x", "x"],
    ['{{.a.b | upper | printf "%s!"}}', "TEXT!"],
    ['{{printf "%d of %.1f %q" .a.n 2.25 .a.b}}', '5 of 2.3 "text"'],
    ['{{.nothing | default "none" | title}}', "None"],
    ["{{$x := .a.b}}{{$x}}", "text"],
    ['{{index .list 1 "name"}} {{(first .list).name}} {{(index .list 0).name}}', "y x x"],
    ['{{.list}} {{.a.b | trunc 2}} {{join "-" (split "e" .a.b)}}', "[map[name:x] map[name:y]] te t-xt"],
    ['{{`raw {{ }}`}} {{"a\\nb"}}', "raw {{ }} a\nb"],
    [
      '{{toJson .list}} {{dig "a" "b" "-" .}} {{.constructor}} {{.a.toString}}',
      '[{"name":"x"},{"name":"y"}] text <no value> <no value>',
    ],
  ] as const)
    assert.equal(parseTemplate(template).render(DATA), expected, template);
});

test("each turn of a range counts as a step, and its variables are its own", () => {
  const items = Array.from({ length: 200 }, (_, at) => at);
  const empty = parseTemplate("{{ range .items }}{{ range $.items }}{{ end }}{{ end }}");
  assert.throws(() => empty.render({ items }), { ntfyCode: 40045, message: /takes too long/ });
  const steps = (count: number): number => {
    let taken = 0;
    const template = parseTemplate("{{ range .items }}{{ end }}");
    template.render({ items: items.slice(0, count) }, (work) => {
      taken = work.steps ?? 0;
    });
    return taken;
  };
  assert.ok(steps(200) - steps(100) >= 100);
  const scoped =
    "{{ $a := 1 }}{{ range $i, $v := .items }}{{ if $i }}{{ $a := 2 }}{{ $a }}{{ end }}{{ $a }}{{ $v }},{{ end }}{{ $a }}";
  assert.equal(parseTemplate(scoped).render({ items: ["x", "y"] }), "1x,21y,1");
});

const refusal = (reason: string) => ({ ntfyCode: 40045, message: new RegExp(reason) });

const SPRIG: readonly (readonly [template: string, expected: string])[] = [
  ["{{ toString 3 }} {{ 3 | toString }} {{ true }} {{ nil }}", "3 3 true <no value>"],
  ['{{ date "2006-01-02 15:04:05 Mon Jan" 1700000000 }}', "2023-11-14 22:13:20 Tue Nov"],
  ['{{ "2023-11-14T22:13:20Z" | date "3:04 PM, _2.1.06" }}', "10:13 PM, 14.11.23"],
  ['{{ dateInZone "15:04 -0700" 1700000000 "Europe/Berlin" }}', "23:13 +0100"],
  ['{{ toDate "2006-01-02 15:04" "2023-11-14 22:13" | date "Jan 2" }}', "Nov 14"],
  ['{{ toDate "2006-01-02" "2023-11-14" | dateModify "-1h30m" | date "15:04" }}', "22:30"],
  [
    '{{ toDate "2006-01-02" "2023-11-14" }} {{ toDate "2006-01-02" "2023-11-14" | unixEpoch }}',
    "2023-11-14 00:00:00 +0000 UTC 1699920000",
  ],
  ["{{ duration 3725 }} {{ duration 95 }} {{ duration 5 }}", "1h2m5s 1m35s 5s"],
  ['{{ $d := dict "a" 1 "b" 2 }}{{ get $d "a" }} {{ $d }} {{ (set $d "c" 3).c }}', "1 map[a:1 b:2] 3"],
  ['{{ list 1 2 3 | join "," }} {{ has 2 (list 1 2) }} {{ uniq (list 1 1 2) }}', "1,2,3 true [1 2]"],
  [
    '{{ sortAlpha (list "b" "a") }} {{ pluck "name" .a (index .list 0) }} {{ concat (list 1) (list 2) }}',
    "[a b] [x] [1 2]",
  ],
  [
    "{{ without (list 1 2 3) 2 }} {{ reverse (list 1 2) }} {{ rest (list 1 2) }} {{ until 3 }} {{ untilStep 1 7 3 }}",
    "[1 3] [2 1] [2] [0 1 2] [1 4]",
  ],
  [
    '{{ int "7" }} {{ int 7.9 }} {{ float64 "1.5" }} {{ div 7 2 }} {{ mod 7 2 }} {{ max 1 3 2 }} {{ min 3 1 }}',
    "7 7 1.5 3 1 3 1",
  ],
  ["{{ round 2.345 2 }} {{ ceil 1.2 }} {{ floor 1.8 }} {{ add1 1 }}", "2.35 2 1 2"],
  [
    '{{ regexMatch "^a+$" "aaa" }} {{ regexFind "[0-9]+" "ab12c3" }} {{ regexFindAll "[0-9]" "1a2b3" 2 }}',
    "true 12 [1 2]",
  ],
  ['{{ regexReplaceAll "a(x*)b" "-ab-axxb-" "<$1>" }} {{ regexReplaceAllLiteral "a" "aba" "$1" }}', "-<>-<xx>- $1b$1"],
  [
    '{{ repeat 3 "ab" }} {{ substr 1 3 "abcd" }} {{ nospace "a b" }}{{ nindent 2 "x" }} {{ trimAll "$" "$5$" }}',
    "ababab bc ab\n  x 5",
  ],
  [
    '{{ b64enc "hi" }} {{ b64dec "aGk=" }} {{ sha256sum "a" | trunc 8 }} {{ abbrev 5 "abcdefg" }}',
    "aGk= hi ca978112 ab...",
  ],
  ['{{ plural "one" "many" 2 }} {{ cat "a" "b" }} {{ squote "a" }} {{ (fromJson "{\\"k\\":1}").k }}', "many a b 'a' 1"],
  ['{{ slice .a.b 1 3 }} {{ html "<a>" }} {{ js "it\'s" }}', "ex &lt;a&gt; it\\'s"],
  ['{{ atoi "42" }} {{ int64 "-7" }} {{ sub 7 2 }} {{ mul 2 3 4 }} {{ add 1 2 }}', "42 -7 5 24 3"],
  ["{{ ge 2 2 }} {{ gt 2 2 }} {{ le 2 3 }} {{ lt 3 3 }} {{ ne 1 2 }} {{ eq 1 1 }}", "true false true false true true"],
  [
    '{{ coalesce "" 0 "first" "second" }} {{ empty "" }} {{ empty "x" }} {{ compact (list 1 0 "" 2) }}',
    "first true false [1 2]",
  ],
  ['{{ ternary "yes" "no" true }} {{ false | ternary "yes" "no" }}', "yes no"],
  ['{{ contains "ex" .a.b }} {{ hasPrefix "te" .a.b }} {{ hasSuffix "te" .a.b }}', "true true false"],
  ['{{ hasKey .a "b" }} {{ hasKey .a "c" }} {{ keys (dict "k" 1) }} {{ values (dict "k" 1) }}', "true false [k] [1]"],
  [
    "{{ initial (list 1 2 3) }} {{ last (list 1 2 3) }} {{ first (list 1 2) }} {{ append (list 1) 2 }}",
    "[1 2] 3 1 [1 2]",
  ],
  ['{{ omit (dict "a" 1 "b" 2) "a" }} {{ unset (dict "a" 1 "b" 2) "b" }}', "map[b:2] map[a:1]"],
  ['{{ lower "ABC" }} {{ upper "abc" }} {{ title "disk full" }} {{ trim "  x " }}|', "abc ABC Disk Full x|"],
  ['{{ trimPrefix "v" "v1.2" }} {{ trimSuffix ".log" "a.log" }} {{ splitList "," "a,b" }}', "1.2 a [a b]"],
  ['{{ println "a" 1 }}{{ print "a" "b" }}', "a 1\nab"],
  ['{{ prepend (list 1) 2 }} {{ quote "a" 1 }}', '[2 1] "a" "1"'],
  ['{{ sha1sum "a" }}', "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"],
  [
    '{{ sha512sum "a" }}',
    "1f40fc92da241694750979ee6cf582f2d5d7d28e18335de05abc54d0560e0f53" +
      "02860c652bf08d560252aa5e74210546f369fbbbce8c12cfc7957b2652fe9a75",
  ],
];

test("functions of Sprig that templates use, as the docs list them", () => {
  for (const [template, expected] of SPRIG) {
    const rendered = (): string => parseTemplate(template).render(DATA);
    let text: string;
    try {
      text = rendered();
    } catch {
      // The first use of a time zone loads it, which may take longer than a template.
      text = rendered();
    }
    assert.equal(text, expected, template);
  }
  for (const name of ["valueOf", "constructor", "hasOwnProperty", "__proto__"])
    assert.throws(() => parseTemplate(`{{ ${name} }}`), { ntfyCode: 40043 }, name);
  for (const template of [
    '{{ repeat 10001 "a" }}',
    '{{ repeat 9999 (repeat 9999 "a") }}',
    "{{ until 100000 }}",
    "{{ div 1 0 }}",
    '{{ regexMatch "(" "a" }}',
    '{{ dateModify "soon" now }}',
  ])
    assert.throws(() => parseTemplate(template).render(DATA), { ntfyCode: 40045 }, template);
  assert.match(parseTemplate('{{ now | date "2006" }} {{ ago now }}').render(DATA), /^20\d\d 0s$/);
  const page = readFileSync(join(import.meta.dirname, "../../../../docs/ntfy.md"), "utf8");
  const listed = /Functions: ([^.]*)\./.exec(page)?.[1] ?? "";
  const names = [...listed.matchAll(/`(\w+)`/g)].map(([, name]) => name);
  assert.deepEqual(names, [...TEMPLATE_FUNCTIONS.keys(), "and", "or"].sort());
  const rows = readFileSync(import.meta.filename, "utf8");
  const templates = [...rows.matchAll(/\{\{.*?\}\}/g)].map(([call]) => call).join(" ");
  const untried = names.filter((name) => !new RegExp(`[({ |]${name}[ })]`).test(templates));
  assert.deepEqual(untried, [], "a function that the docs list has no row");
});

test("functions of Sprig give what Go gives", () => {
  for (const [template, expected] of [
    ['{{ uniq (list 1 2 1 "1" (list 1) "[1]" (list 1) nil nil) }}', "[1 2 1 [1] [1] <no value>]"],
    ['{{ has "1" (list 1) }} {{ has (dict "a" 1) (list (dict "a" 1)) }}', "false true"],
    ['{{ without (list 1 "1" (list 2)) "1" (list 2) }}', "[1]"],
    ['{{ toJson (set (dict "a" 1 "b" 2) "a" 3) }} {{ pick (dict "a" 1 "b" 2) "b" }}', '{"a":3,"b":2} map[b:2]'],
    ['{{ replace "" "-" "ab" }} {{ replace "a" "$&" "aa" }}', "-a-b- $&$&"],
    ['{{ regexReplaceAll "(?P<x>b)" "abc" "$x-$1$9$$" }}', "ab-b$c"],
    ['{{ toJson (regexSplit "," "a,b," -1) }} {{ toJson (regexSplit "" "abc" -1) }}', '["a","b",""] ["a","b","c"]'],
    ['{{ toJson (regexSplit "b*" "abc" 2) }} {{ len (regexFindAll "a" "aaa" -1) }}', '["a","c"] 3'],
    ["{{ add (dict) 1 }} {{ urlquery (abbrev 4 (list)) }}", "NaN %5B%5D"],
    ["{{ len (until 10000) }} {{ len (concat (until 5000) (until 5000)) }}", "10000 10000"],
  ] as const)
    assert.equal(parseTemplate(template).render(DATA), expected, template);
});

test("toDate reads the parts of Go's layouts", () => {
  for (const [layout, text, expected] of [
    ["Mon, 02 Jan 2006 15:04:05 MST", "Tue, 14 Nov 2023 22:13:20 UTC", "2023-11-14 22:13:20.000"],
    ["Monday, January 2 06 3:04 PM", "Tuesday, November 14 23 10:13 PM", "2023-11-14 22:13:00.000"],
    ["_2.1.2006 03:4:5pm", " 4.1.2023 12:3:6am", "2023-01-04 00:03:06.000"],
    ["2006-01-02T15:04:05.000Z07:00", "2023-11-14T22:13:20.125+01:00", "2023-11-14 21:13:20.125"],
    ["2006-01-02", "2023-11-14 ", "1970-01-01 00:00:00.000"],
    ["2 January 2006", "2 Nonsense 2023", "1970-01-01 00:00:00.000"],
  ] as const) {
    const template = `{{ toDate "${layout}" "${text}" | date "2006-01-02 15:04:05.000" }}`;
    assert.equal(parseTemplate(template).render(DATA), expected, layout);
  }
  for (const layout of ["PMPMPM", "MonMon", "MondayMonday", "MST".repeat(20), "02 2", "2006 2006", "x".repeat(101)])
    assert.throws(() => parseTemplate(`{{ toDate "${layout}" "a" }}`).render(DATA), refusal("cannot be read"), layout);
});

test("lists, dicts and the texts of functions are bounded however they are built", () => {
  const doubled = (call: string, times: number) => `{{$x := list 1 2}}${`{{$x = ${call}}}`.repeat(times)}`;
  const many = (start: string, call: string) => `{{$x := ${start}}}{{${call}${" $x".repeat(20)}}}`;
  const items = "at most 10000 items";
  const long = "the output is too long";
  for (const [template, reason] of [
    [`${doubled("list $x $x", 40)}{{$x}}`, items],
    [`${doubled("list $x $x", 40)}{{toJson $x}}`, items],
    [`${doubled('dict "a" $x "b" $x', 40)}{{uniq (list $x)}}`, items],
    [`${doubled('set (dict "a" $x) "b" $x', 40)}{{has 1 (list $x)}}`, items],
    [`${doubled("prepend $x $x", 40)}{{$x}}`, items],
    [`${doubled("concat $x $x", 40)}{{$x}}`, items],
    [doubled("list $x", 600), "nested too deeply"],
    ['{{fromJson (cat (repeat 9999 "[") (repeat 9999 "]"))}}', "nested too deeply"],
    [many("until 10000", "concat"), items],
    [many("until 10000", "print"), items],
    ["{{append (until 10000) 1}}", items],
    ['{{split "," (repeat 10000 "a,,")}}', items],
    ["{{untilStep 0 100000 2}}", items],
    ["{{.deep}}", "nested too deeply"],
    ["{{.wide}}", items],
    ["{{toPrettyJson .wide}}", items],
    [many('repeat 10000 (repeat 20 "a")', "print"), long],
    [many('repeat 10000 (repeat 20 "a")', "list"), long],
    ['{{join (repeat 10000 "ab") (until 10000)}}', long],
    ['{{replace "a" (repeat 10000 "b") (repeat 10000 "a")}}', long],
    ['{{replace "" (repeat 10000 "b") (repeat 10000 "a")}}', long],
    ['{{indent 100 (repeat 10000 (repeat 2 "\\n"))}}', long],
    ['{{regexReplaceAll "a" (repeat 10000 "a") (repeat 10000 "b")}}', long],
    ['{{regexReplaceAll "a.*" (repeat 10000 "a") (repeat 10000 "$0")}}', long],
    ['{{regexReplaceAllLiteral "a" (repeat 10000 "a") (repeat 10000 "b")}}', long],
    ['{{dateInZone "2006" 99999999999999 "Europe/Berlin"}}', "out of range"],
  ] as const) {
    let deep: unknown = 1;
    for (let level = 0; level < 600; level++) deep = [deep];
    const data = { deep, wide: Array.from({ length: 101 }, () => Array(100).fill(1)) };
    assert.throws(() => parseTemplate(template).render(data), refusal(reason), template.slice(0, 80));
  }
});

test("regular expressions are bounded as those of rules", () => {
  for (const call of [
    "regexMatch",
    "regexFind",
    "regexFindAll",
    "regexReplaceAll",
    "regexReplaceAllLiteral",
    "regexSplit",
  ])
    for (const [pattern, value, reason] of [
      ["(a{50}){50}", '"a"', "too costly"],
      ["(a?){600}", '"a"', "too costly"],
      ["((((a{30}){30}){30}){30})", '"a"', "too costly"],
      ["a".repeat(501), '"a"', "too long"],
      ["a", '(print (repeat 10000 "a") (repeat 6385 "a"))', "at most 16384 characters"],
    ] as const)
      assert.throws(
        () => parseTemplate(`{{ ${call} "${pattern}" ${value} 1 }}`).render(DATA),
        refusal(reason),
        `${call} ${pattern.slice(0, 40)}`,
      );
  // Each match reads the rest of the text.
  for (const call of ["regexFindAll", "regexReplaceAll", "regexReplaceAllLiteral", "regexSplit"]) {
    const most = call.startsWith("regexReplace") ? '"b"' : "-1";
    const template = `{{ ${call} "a[^x]*b|a" (print (repeat 10000 "a") (repeat 6384 "a")) ${most} }}`;
    assert.throws(() => parseTemplate(template).render(DATA), refusal("takes too long"), call);
  }
  assert.equal(parseTemplate('{{ regexMatch "^a{400}$" (repeat 400 "a") }}').render(DATA), "true");
});

test("templates are bounded in length, nesting, steps and output", () => {
  const big = { list: Array.from({ length: 1000 }, (_, i) => i), text: "x".repeat(100_000) };
  for (const [template, code] of [
    ["{{range .list}}{{range $.list}}{{range $.list}}x{{end}}{{end}}{{end}}", 40045],
    ["{{range .list}}{{$.text}}{{end}}", 40045],
    ["{{range .list}}{{upper $.text | print | len}}{{end}}", 40045],
    ['{{fail "no"}}', 40045],
    [`${"{{if .a}}".repeat(100)}x${"{{end}}".repeat(100)}`, 40043],
    [`{{${"(".repeat(100)}.a${")".repeat(100)}}}`, 40043],
    ["x".repeat(17_000), 40043],
    ['{{template "x"}}', 40044],
    ["{{.a | call}}", 40044],
    ["{{end}}", 40043],
    ["{{", 40043],
    ["{{.a", 40043],
    ['{{"open}}', 40043],
    ["{{.a | }}", 40043],
    ["{{1 2}}", 40045],
  ] as const)
    assert.throws(() => parseTemplate(template).render(big), { ntfyCode: code }, template.slice(0, 60));
});

test("webhooks of Grafana, Alertmanager and GitHub by the templates that are built in", async (t) => {
  const ntfy = await startNtfy(t);
  const send = async (template: string, body: object) =>
    (await ntfy.send("POST", `/t?template=${template}`, { body: JSON.stringify(body) })).body;
  const grafana = await send("grafana", { status: "firing", title: "[FIRING:1] Load", message: "Value: 15" });
  assert.deepEqual([grafana.title, grafana.message], ["🚨 [FIRING:1] Load", "Value: 15"]);
  const alert = {
    status: "resolved",
    receiver: "ntfy",
    alerts: [
      { labels: { alertname: "DiskFull", host: "a" }, annotations: { summary: "s" }, generatorURL: "https://p/" },
    ],
  };
  const resolved = await send("alertmanager", alert);
  assert.equal(resolved.title, "✅ Resolved: DiskFull");
  assert.match(resolved.message ?? "", /host = a[\s\S]*summary = s[\s\S]*Source: https:\/\/p\//);
  const issue = await send("github", {
    action: "opened",
    issue: { number: 7, title: "Bug", body: null, html_url: "https://g/7", user: { login: "u" } },
  });
  assert.equal(issue.title, "🐛 Issue opened: #7 Bug");
  const comment = { body: "Seen", html_url: "https://g/7#1", user: { login: "u" } };
  const commented = await send("github", { action: "created", issue: { number: 7, title: "Bug" }, comment });
  assert.deepEqual([commented.title, commented.message], ["💬 New comment on issue #7 Bug", "u: Seen\nhttps://g/7#1"]);
  const onPull = { number: 8, title: "Mend", pull_request: { url: "https://g/8" } };
  const edited = await send("github", { action: "edited", issue: onPull, comment });
  assert.equal(edited.title, "💬 Comment edited on pull request #8 Mend");
  const inline = await ntfy.send(
    "POST",
    `/t?tpl=yes&title=${encodeURIComponent("{{.t}}")}&m=${encodeURIComponent("{{.a}}\\n{{.b}}")}`,
    { body: '{"t":"T","a":1,"b":2}' },
  );
  assert.deepEqual([inline.body.title, inline.body.message], ["T", "1\n2"]);
});

test("templates of one's own are files, before those that are built in, and bounded", async (t) => {
  const dir = temporaryDir(t);
  const file = (name: string, text: string) => writeFileSync(join(dir, name), text);
  file(
    "disk.yml",
    "title: '{{ .host }} is full'\nmessage: |\n  {{ .used }} %\n  of {{ .size }}\npriority: '{{ .p }}'\n",
  );
  file("github.yml", "message: Mine {{ .action }}\n");
  file("large.yml", `message: "${"x".repeat(65_536)}"\n`);
  file("empty.yml", "topic: none\n");
  file("broken.yml", "title: [\n");
  file("loop.yml", "message: '{{ range until 10000 }}{{ range until 10000 }}x{{ end }}{{ end }}'\n");
  file("calls.yml", 'message: \'{{ define "a" }}x{{ end }}{{ template "a" }}\'\n');
  file("secret.yaml", "message: other ending\n");
  // A file that nobody, not even root, can read from its start.
  symlinkSync("/proc/self/mem", join(dir, "unreadable.yml"));
  const ntfy = await startNtfy(t, { settings: { "ntfy.templateDir": dir } });
  const body = JSON.stringify({ host: "db-1", used: 97, size: "1 TB", p: 5, action: "opened" });
  const send = (template: string, query = "") =>
    ntfy.send("POST", `/t?template=${encodeURIComponent(template)}${query}`, { body });
  const disk = (await send("disk")).body;
  assert.deepEqual([disk.title, disk.message, disk.priority], ["db-1 is full", "97 %\nof 1 TB", 5]);
  assert.equal((await send("disk", "&priority=2")).body.priority, 2);
  assert.equal((await send("disk", "&delay=1h")).body.title, "db-1 is full");
  assert.equal((await send("github")).body.message, "Mine opened");
  file("github.yml", "message: Changed {{ .action }} at once\n");
  assert.equal((await send("github")).body.message, "Changed opened at once");
  assert.equal((await send("grafana")).status, 200);
  for (const [name, code] of [
    ["none", 40047],
    ["secret", 40047],
    ["../disk", 40047],
    ["large", 40048],
    ["empty", 40048],
    ["broken", 40048],
    ["unreadable", 40048],
    ["loop", 40045],
    ["calls", 40044],
  ] as const)
    assert.equal(((await send(name)).body as { code?: number }).code, code, name);
});
