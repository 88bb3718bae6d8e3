import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import test from "node:test";
import { readNewPassword, readPassphrase } from "../../src/cli/commands/access/prompt.ts";
import { CommandError } from "../../src/cli/output/exit-codes.ts";

/** A terminal that is typed into. */
class Keyboard extends PassThrough {
  readonly isTTY = true;
  readonly modes: boolean[] = [];

  setRawMode(isRaw: boolean): void {
    this.modes.push(isRaw);
  }
}

function ask(...typed: readonly (string | Buffer)[]) {
  const input = new Keyboard();
  const output = new PassThrough();
  const answer = readNewPassword(false, { input, output });
  for (const chunk of typed) input.write(chunk);
  return { input, output, answer };
}

test("a password is asked for twice, and nothing of it is shown", async (t) => {
  const umlaut = Buffer.from("ü");
  for (const c of [
    { name: "line by line", typed: ["secret words\r", "secret words\r"], is: "secret words" },
    { name: "pasted at once", typed: ["secret words\nsecret words\n"], is: "secret words" },
    { name: "key by key, with corrections", typed: [..."sex\u007fcret\r", "nonsense\u0015secret\n"], is: "secret" },
    {
      name: "a character that arrives in two parts",
      typed: [umlaut.subarray(0, 1), umlaut.subarray(1), "ber\r", "über\r"],
      is: "über",
    },
    { name: "keys that are no characters", typed: ["a\u001b\u0000b\r", "ab\r"], is: "ab" },
  ])
    await t.test(c.name, async () => {
      const { input, output, answer } = ask(...c.typed);
      assert.equal(await answer, c.is);
      assert.equal(String(output.read()), "New password: \nRepeat it: \n");
      assert.deepEqual(input.modes, [true, false], "the terminal is left as it was");
      assert.equal(input.listenerCount("data"), 0);
    });

  for (const c of [
    { name: "two that differ", typed: ["one thing\ranother\r"], exitCode: 7, says: /differ/ },
    { name: "an empty one", typed: ["\r\r"], exitCode: 7, says: /empty/ },
    { name: "Ctrl-D", typed: ["half\u0004"], exitCode: 2, says: /ended before/ },
    { name: "an input that ends", typed: ["half"], exitCode: 2, says: /ended before/, isCut: true },
  ])
    await t.test(`${c.name} ends with ${c.exitCode}`, async () => {
      const { input, answer } = ask(...c.typed);
      if (c.isCut) input.end();
      await assert.rejects(answer, (error: CommandError) => {
        assert.ok(error instanceof CommandError);
        assert.equal(error.exitCode, c.exitCode);
        assert.match(error.message, c.says);
        return true;
      });
      assert.deepEqual(input.modes, [true, false]);
    });
});

test("a new passphrase of an archive's keys is asked for twice and must be long, a known one once", async (t) => {
  const read = (isNew: boolean, typed: string) => {
    const input = new Keyboard();
    const output = new PassThrough();
    const answer = readPassphrase({ fromStdin: false, isNew }, { input, output });
    input.write(typed);
    return { output, answer };
  };
  const made = read(true, "correct horse battery\rcorrect horse battery\r");
  assert.equal(await made.answer, "correct horse battery");
  assert.equal(String(made.output.read()), "New passphrase: \nRepeat it: \n");
  const known = read(false, "short\r");
  assert.equal(await known.answer, "short");
  assert.equal(String(known.output.read()), "Passphrase of the archive's keys: \n");
  for (const [typed, isNew, says] of [
    ["correct horse battery\rcorrect horse\r", true, /the two passphrases differ/],
    ["eleven char\releven char\r", true, /fewer than 12 characters/],
    ["\r", false, /the passphrase is empty/],
  ] as const)
    await t.test(String(says), () => assert.rejects(read(isNew, typed).answer, says));
});
