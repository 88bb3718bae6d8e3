import { parseEnv } from "node:util";

/* Files of `--secrets-file`: lines `PRISM_SECRET_NAME=value`, which are read by `parseEnv` of Node and never run. */

const QUOTES = ["'", '"', "`"] as const;

/**
 * The text of a file with these values.
 * @throws Error for a value that no line can hold: with each kind of quotes, or a carriage return, which is lost
 */
export function secretsFileText(values: ReadonlyMap<string, string>): string {
  return [...values].map(([name, value]) => `${name}=${quoted(name, value)}\n`).join("");
}

function quoted(name: string, value: string): string {
  // In double quotes `\n` would be a line break.
  const quote = QUOTES.find((each) => !value.includes(each) && !(each === '"' && value.includes("\\")));
  if (quote === undefined) throw new Error(`the value of ${name} has each kind of quotes`);
  const text = `${quote}${value}${quote}`;
  if (parseEnv(`${name}=${text}\n`)[name] !== value)
    throw new Error(`the value of ${name} cannot be written into a line, such as one with a carriage return`);
  return text;
}
