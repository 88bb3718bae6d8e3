// needs: fish, zsh
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { completionScript } from "../../src/cli/commands/server/completion.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { runCli } from "./run-cli.ts";

type Shell = "bash" | "zsh" | "fish";

/** Command lines, as typed up to the cursor, with some of what must be offered and what must not. */
const LINES = [
  { line: "prism ru", offers: ["rules"], not: ["serve"] },
  { line: "prism ", offers: ["serve", "rules", "send", "completion"], not: ["--json"] },
  { line: "prism rules ", offers: ["enable", "disable", "edit", "delete"], not: ["serve"] },
  { line: "prism --json rules di", offers: ["disable"], not: ["delete"] },
  { line: "prism rules list --p", offers: ["--project"], not: ["--active"] },
  { line: "prism rules list --js", offers: ["--json"], not: ["--project"] },
  { line: "prism send --severity ", offers: ["debug", "fatal"], not: ["rules"] },
  { line: "prism completion ", offers: ["bash", "zsh", "fish"], not: ["rules"] },
  { line: "prism incidents sn", offers: ["snooze"], not: ["resolve"] },
  { line: "prism incidents list --state ", offers: ["unresolved", "snoozed"], not: ["--mine"] },
  { line: "prism key rotate --gr", offers: ["--grace"], not: ["--json"] },
] as const;

function scriptFile(t: TestContext, shell: Shell): string {
  const dir = mkdtempSync(join(tmpdir(), "prism-completion-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, `prism.${shell}`);
  writeFileSync(file, completionScript(buildProgram(), shell));
  return file;
}

function isInstalled(shell: Shell): boolean {
  return spawnSync(shell, ["-c", "true"]).status === 0;
}

function output(shell: Shell, script: string, args: readonly string[] = []): string {
  const { status, stdout, stderr } = spawnSync(shell, ["-c", script, ...args], { encoding: "utf8" });
  assert.deepEqual([status, stderr], [0, ""]);
  return stdout;
}

/** What a shell offers at the end of a line. */
const OFFERED: Readonly<Record<Shell, (file: string, line: string) => string>> = {
  bash: (file, line) => {
    const words = line.split(" ").map((word) => `'${word}'`);
    return output(
      "bash",
      `source '${file}'; COMP_WORDS=(${words.join(" ")}); COMP_CWORD=${words.length - 1}; _prism; printf '%s\\n' "\${COMPREPLY[@]}"`,
    );
  },
  // The completion system of zsh needs a terminal: its functions are replaced by ones that print.
  zsh: (file, line) => {
    const words = line.split(" ").map((word) => `'${word}'`);
    const stubs = `compdef() { :; }; _files() { :; }; compadd() { shift; print -l -- \${(M)@:#\${words[CURRENT]}*}; }`;
    return output("zsh", `${stubs}; source '${file}'; words=(${words.join(" ")}); CURRENT=${words.length}; _prism`);
  },
  fish: (file, line) => output("fish", `source '${file}'; complete -C '${line}'`),
};

for (const shell of ["bash", "zsh", "fish"] as const)
  test(`${shell} completes commands, flags and fixed values by the script`, (t) => {
    const file = scriptFile(t, shell);
    if (shell !== "bash" && !isInstalled(shell)) return t.diagnostic(`${shell} is not installed here`);
    for (const { line, offers, not } of LINES) {
      const offered = OFFERED[shell](file, line)
        .split("\n")
        .map((each) => each.split("\t")[0] ?? "");
      for (const word of offers) assert.ok(offered.includes(word), `${line}: ${word} of ${offered.join(" ")}`);
      for (const word of not) assert.ok(!offered.includes(word), `${line}: ${word} is not offered`);
    }
  });

test("completion prints the script without a server or a database, and refuses other shells", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "prism-completion-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const { status, stdout } = await runCli(["completion", "bash"], { cwd: dir });
  assert.deepEqual([status, stdout], [0, completionScript(buildProgram(), "bash")]);
  assert.equal(spawnSync("bash", ["-n"], { input: stdout }).status, 0);
  const refused = await runCli(["completion", "tcsh"], { cwd: dir });
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /bash, zsh, fish/);
});
