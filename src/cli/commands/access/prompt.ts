import { once } from "node:events";
import { createInterface } from "node:readline/promises";
import { StringDecoder } from "node:string_decoder";
import { readStdin } from "../../files.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { interrupt } from "../../output/process-ends.ts";

/** The terminal for questions; passwords are not echoed. */
interface Terminal {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean; setRawMode?(isRaw: boolean): unknown };
  readonly output: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

/** Asks for confirmation; without a terminal, or at the end of input, the answer is no. */
export async function confirm(
  question: string,
  { input, output }: Terminal = { input: process.stdin, output: process.stderr },
): Promise<boolean> {
  if (input.isTTY !== true || output.isTTY !== true) return false;
  const prompt = createInterface({ input, output });
  // In raw mode Ctrl-C arrives here and not as a signal.
  prompt.once("SIGINT", interrupt);
  try {
    // Ctrl-D rejects the question; the end of input leaves it pending for ever.
    const asked = prompt.question(`${question} Type yes: `).catch(() => null);
    const answer = await Promise.race([asked, once(prompt, "close").then(() => null)]);
    if (answer === null) output.write("\n");
    return answer?.trim().toLowerCase() === "yes";
  } finally {
    prompt.close();
  }
}

/**
 * Reads a new password: twice at the terminal, or with `--stdin` from stdin without its final line
 * end. Never from an argument, which other users can read in the process list. @throws CommandError
 * 2 without a terminal, 7 for two that differ or an empty one
 */
export async function readNewPassword(
  fromStdin: boolean,
  terminal: Terminal = { input: process.stdin, output: process.stderr },
): Promise<string> {
  const password = fromStdin ? (await readStdin()).replace(/\r?\n$/, "") : await askTwice(terminal, "password");
  if (password === "") throw new CommandError(EXIT.conflict, "the password is empty");
  return password;
}

/**
 * Reads the passphrase of an archive's keys like {@link readNewPassword}; an existing one is asked
 * for once.
 * @throws CommandError 2 without a terminal, 7 for two that differ, an empty one, or a new one that
 * is too short
 */
export async function readPassphrase(
  { fromStdin, isNew }: { readonly fromStdin: boolean; readonly isNew: boolean },
  terminal: Terminal = { input: process.stdin, output: process.stderr },
): Promise<string> {
  const ask = (): Promise<string> =>
    isNew
      ? askTwice(terminal, "passphrase")
      : askHidden(["Passphrase of the archive's keys: "], requireTerminal(terminal, "passphrase")).then(
          ([answer = ""]) => answer,
        );
  const passphrase = fromStdin ? (await readStdin()).replace(/\r?\n$/, "") : await ask();
  if (passphrase === "") throw new CommandError(EXIT.conflict, "the passphrase is empty");
  if (isNew && [...passphrase].length < MIN_PASSPHRASE)
    throw new CommandError(EXIT.conflict, `the passphrase has fewer than ${MIN_PASSPHRASE} characters`);
  return passphrase;
}

/** Reads a secret of any form: once at the terminal, else from stdin without its final line end. @throws CommandError 7 for an empty one */
export async function readSecret(
  question: string,
  terminal: Terminal = { input: process.stdin, output: process.stderr },
): Promise<string> {
  const isAsked = terminal.input.isTTY === true;
  const [secret = ""] = isAsked ? await askHidden([question], terminal) : [(await readStdin()).replace(/\r?\n$/, "")];
  if (secret === "") throw new CommandError(EXIT.conflict, "the secret is empty");
  return secret;
}

/** A holder of the archive can try any number of passphrases. */
const MIN_PASSPHRASE = 12;

async function askTwice(terminal: Terminal, what: string): Promise<string> {
  const questions = [`New ${what}: `, "Repeat it: "];
  const [password, again] = await askHidden(questions, requireTerminal(terminal, what));
  if (password === undefined || password !== again) throw new CommandError(EXIT.conflict, `the two ${what}s differ`);
  return password;
}

function requireTerminal(terminal: Terminal, what: string): Terminal {
  if (terminal.input.isTTY === true) return terminal;
  throw new CommandError(EXIT.usage, `there is no terminal to ask for the ${what}; give it with --stdin`);
}

/** Asks questions one after the other without echo. @throws CommandError 2 at the end of input */
function askHidden(questions: readonly string[], { input, output }: Terminal): Promise<string[]> {
  const decoder = new StringDecoder("utf8");
  const answers: string[] = [];
  let typed: string[] = [];
  return new Promise((resolve, reject) => {
    const end = (): void => {
      input.off("data", read);
      input.off("end", broken);
      input.setRawMode?.(false);
      input.pause();
    };
    const broken = (): void => {
      end();
      output.write("\n");
      reject(new CommandError(EXIT.usage, "the input ended before the answer was complete"));
    };
    const read = (chunk: Buffer | string): void => {
      // Both answers may arrive in one chunk, when they are pasted.
      for (const character of decoder.write(Buffer.from(chunk))) {
        if (character === "\u0003") {
          end();
          output.write("\n");
          return interrupt();
        }
        if (character === "\u0004") return broken();
        if (character === "\u007f" || character === "\b") typed.pop();
        else if (character === "\u0015") typed = [];
        else if (character === "\r" || character === "\n") {
          answers.push(typed.join(""));
          typed = [];
          output.write("\n");
          const next = questions[answers.length];
          if (next === undefined) {
            end();
            return resolve(answers);
          }
          output.write(next);
        } else if (character >= " ") typed.push(character);
      }
    };
    input.setRawMode?.(true);
    input.on("data", read);
    input.once("end", broken);
    output.write(questions[0] ?? "");
    input.resume();
  });
}
