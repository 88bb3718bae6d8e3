import assert from "node:assert/strict";
import test from "node:test";
import { withoutMarkup, withoutStateMark } from "../../../src/core/text/plain-text.ts";

test("HTML in a text becomes lines, and what is no HTML stays as it is", () => {
  for (const [text, expected] of [
    ["<p>Disk <b>full</b></p>", "Disk full"],
    ["Disk full<br>now<BR />and<br/>then", "Disk full\nnow\nand\nthen"],
    ["Disk full<br>\nnow", "Disk full\nnow"],
    ["<ul><li>one</li><li>two</li></ul>", "one\ntwo"],
    ["<td>a</td><td>b</td>", "a b"],
    ["Backup &amp; Sync: 97&nbsp;% &#39;x&#x27; &unknown;", "Backup & Sync: 97 % 'x' &unknown;"],
    ["https://x.example/?a=1&b=2", "https://x.example/?a=1&b=2"],
    // Only part of the text when a program says so.
    ["expected <p> but found <div>", "expected <p> but found <div>"],
    ["q=<script>alert(1)</script> from 192.0.2.7", "q=<script>alert(1)</script> from 192.0.2.7"],
    ["<b>q</b>=<script>alert(1)</script>", "q=<script>alert(1)</script>"],
    ["from <ann@db-1> at <https://x.example>", "from <ann@db-1> at <https://x.example>"],
    ["a < b and c > d", "a < b and c > d"],
    ["  two  spaces\n\n\n\nkept ", "  two  spaces\n\n\n\nkept "],
  ] as const)
    assert.equal(withoutMarkup(text), expected, text);
  const link = 'See <a href="https://x.example/7">run 7</a>';
  assert.equal(withoutMarkup(link), "See run 7");
  assert.equal(withoutMarkup(link, { withLinks: true }), "See run 7 <https://x.example/7>");
});

test("marks of Alertmanager and Grafana for the first state are no part of an alert's title", () => {
  for (const [title, expected] of [
    ["[FIRING:1] DiskFull (db-1)", "DiskFull (db-1)"],
    ["[RESOLVED] DiskFull", "DiskFull"],
    ["[resolved:2] DiskFull", "DiskFull"],
    ["🔥 [FIRING:2, RESOLVED:1] DiskFull", "DiskFull"],
    ["[FIRING:1]", "[FIRING:1]"],
    ["[shop] [FIRING:1] x", "[shop] [FIRING:1] x"],
    ["FIRING: x", "FIRING: x"],
  ] as const)
    assert.equal(withoutStateMark(title), expected, title);
});
