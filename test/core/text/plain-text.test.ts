import assert from "node:assert/strict";
import test from "node:test";
import { plainText, withoutMarkup, wordsOfPage } from "../../../src/core/text/plain-text.ts";

test("hidden elements go with their content, and one that does not end hides nothing", () => {
  for (const [html, expected] of [
    ["<style>p{}</style>a<STYLE\n x='1'>b{}</Style >c", "a c"],
    ["a<!-- <b> -->b<!--[if mso]><p>mso</p><![endif]-->c", "a b c"],
    ["<style>p{} a<br>b", "p{} a\nb"],
    ["<!-- a <p>b</p>", "<!-- a b"],
    ["<template>no</template><title>no</title>yes", "yes"],
    ["1 &lt; 2 &amp;&amp; 3 > 2 &Auml;&auml; &unknown;", "1 < 2 && 3 > 2 Ää &unknown;"],
  ] as const)
    assert.equal(plainText(html), expected, html);
});

test("a target that is no web or mail address is left out, and a link within a link ends it", () => {
  const read = (html: string) => plainText(html, { withLinks: true });
  assert.equal(read('<a class="x" href=https://a.example/b>t</a>'), "t <https://a.example/b>");
  assert.equal(read("<a href='mailto:a@b.example'>write</a>"), "write <mailto:a@b.example>");
  assert.equal(read('<a href="javascript:x()">t</a><a name="y">u</a>'), "tu");
  assert.equal(read('<a href="https://a.example"><a href="https://b.example">t</a></a>'), "t <https://b.example>");
});

test("hostile HTML is read in steps that grow with its length only", () => {
  const units = [
    "<style>",
    "<!--",
    "<a href='https://a.example'>",
    "<a href= ",
    "</a>",
    "<td",
    "&#",
    "<script></style>",
  ];
  for (const unit of units) {
    // A text twice as long takes at most a few times as long; quadratic steps would take minutes here.
    const text = plainText(unit.repeat(200_000), { withLinks: true });
    assert.equal(typeof text, "string");
    assert.equal(typeof withoutMarkup(unit.repeat(200_000), { withLinks: true }), "string");
  }
  for (const unit of ["<br", "<br ", "<p ", "</b ", "&amp", "<b>x</b>"])
    assert.equal(typeof withoutMarkup(unit.repeat(200_000)), "string");
});

test("comments before a page that does not come are read once, however they could be divided", () => {
  // Each of them may end at any later end: there are 2^300 ways.
  assert.equal(wordsOfPage("text/plain", "<!---->".repeat(300)), null);
  assert.equal(wordsOfPage("text/plain", `${"<!-- a -->".repeat(300)}<p>none</p>`), null);
  assert.equal(wordsOfPage("text/plain", `${"<!-- a -->".repeat(300)}<html><p>Log in</p>`), "Log in");
});
