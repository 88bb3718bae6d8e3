import assert from "node:assert/strict";
import test from "node:test";
import { parseActions } from "../../../../src/features/compat/ntfy/actions.ts";
import { parseTemplate } from "../../../../src/features/compat/ntfy/templates/template.ts";
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
  const inline = await ntfy.send(
    "POST",
    `/t?tpl=yes&title=${encodeURIComponent("{{.t}}")}&m=${encodeURIComponent("{{.a}}\\n{{.b}}")}`,
    { body: '{"t":"T","a":1,"b":2}' },
  );
  assert.deepEqual([inline.body.title, inline.body.message], ["T", "1\n2"]);
});
