import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { SERVICES } from "./support/all.ts";
import { presetOf } from "./support/contract.ts";
import { exampleOf } from "./support/example.ts";

const FOLDER = join(import.meta.dirname, "../../../docs/integrations");

function pageOf(name: string): string {
  return readFileSync(join(FOLDER, `${presetOf(name).docs}.md`), "utf8");
}

function unwrapped(text: string): string {
  return text.replace(/\s+/g, " ");
}

for (const makeService of SERVICES) {
  const name = makeService().preset;

  test(`${name}: its page has the setup of the preset and a command that creates a channel`, () => {
    const page = unwrapped(pageOf(name));
    for (const [index, line] of presetOf(name).setup.entries()) assert.ok(page.includes(`${index + 1}. ${line}`), line);
    assert.ok(page.includes(`prism channels create ${name} `));
    const keys = presetOf(name).fields.filter(({ required, default: value }) => required && value === undefined);
    const [, command = ""] = page.split(`prism channels create ${name} `);
    for (const { key } of keys) assert.match(command.split("```")[0] ?? "", new RegExp(`--field '?${key}=`), name);
  });

  test(`${name}: its page shows what readers see`, async (t) => {
    const shown = new RegExp(`<!-- shown: ${name} -->\n\`\`\`text\n([^]*?)\n\`\`\``).exec(pageOf(name))?.[1];
    if (shown !== undefined) assert.equal(shown, await exampleOf(t, makeService()));
    else assert.match(pageOf(name), /<!-- shown: /, "another preset of the page looks the same");
  });
}
