import assert from "node:assert/strict";
import test from "node:test";
import { startPrism } from "../../../helpers/prism.ts";

test("S0-14: the root leads to the console", async (t) => {
  const prism = await startPrism(t);
  for (const path of ["/", "/dashboard"]) {
    const reply = await fetch(prism.url + path, { redirect: "manual" });
    assert.deepEqual([reply.status, reply.headers.get("location")], [302, "dashboard/"]);
  }
});

test("the page of each path links its files relatively, under a strict policy", async (t) => {
  const prism = await startPrism(t);
  for (const path of ["/dashboard/", "/dashboard/rules", "/dashboard/rules/1/versions"]) {
    const url = prism.url + path;
    const reply = await fetch(url);
    const html = await reply.text();
    assert.deepEqual([reply.status, reply.headers.get("cache-control")], [200, "no-cache"], path);
    const policy = reply.headers.get("content-security-policy") ?? "";
    for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"])
      assert.ok(policy.split("; ").includes(rule), rule);
    assert.doesNotMatch(policy, /unsafe|https?:/);
    assert.doesNotMatch(html, /<script(?![^>]* src=)|<style| on\w+=| style=/i);
    const files = [...html.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, file = ""]) => file);
    assert.ok(files.length >= 4);
    for (const file of files) {
      assert.match(file, /^\.{1,2}\//);
      const found = await fetch(new URL(file, url));
      assert.equal(found.status, 200, file);
      await found.arrayBuffer();
      const isHashed = file.includes("assets/");
      assert.match(found.headers.get("cache-control") ?? "", isHashed ? /immutable/ : /^no-cache$/, file);
    }
  }
});

test("only files of the console are served", async (t) => {
  const prism = await startPrism(t);
  for (const name of ["nothing.js", "..%2f..%2fpackage.json", "index.html", "files.json"]) {
    const reply = await fetch(`${prism.url}/dashboard/assets/${name}`);
    assert.equal(reply.status, 404, name);
  }
});
