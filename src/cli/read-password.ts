import { StringDecoder } from "node:string_decoder";
import { CommandError, EXIT } from "./exit-codes.ts";
import { interrupt } from "./process-ends.ts";
import { readStdin } from "./read-input.ts";

/** Where a person types, unseen. */
export interface PasswordTerminal {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean; setRawMode?(isRaw: boolean): unknown };
  readonly output: NodeJS.WritableStream;
}

/**
 * A new password: asked for twice at the terminal, or with `--stdin` all that stdin holds, without the line's end. Never an argument, for whoever
 * lists processes reads those. @throws CommandError 2 where there is no terminal, 7 for two that differ or an empty one
 */
export async function readNewPassword(
  fromStdin: boolean,
  terminal: PasswordTerminal = { input: process.stdin, output: process.stderr },
): Promise<string> {
  const password = fromStdin ? (await readStdin()).replace(/\r?\n$/, "") : await askTwice(terminal);
  if (password === "") throw new CommandError(EXIT.conflict, "the password is empty");
  return password;
}

async function askTwice(terminal: PasswordTerminal): Promise<string> {
  if (terminal.input.isTTY !== true)
    throw new CommandError(EXIT.usage, "there is no terminal to ask for the password; give it by --stdin");
  const [password, again] = await askUnseen(["New password: ", "The same again: "], terminal);
  if (password === undefined || password !== again) throw new CommandError(EXIT.conflict, "the two passwords differ");
  return password;
}

/** Asks one question after the other; nothing that is typed is shown. @throws CommandError 2 when the input ends before the answers do */
function askUnseen(questions: readonly string[], { input, output }: PasswordTerminal): Promise<string[]> {
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
      reject(new CommandError(EXIT.usage, "the input ended before the password did"));
    };
    const read = (chunk: Buffer | string): void => {
      // Both answers may come in one chunk, when they are pasted.
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
