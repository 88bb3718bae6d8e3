/* Files of `--secrets-file`: lines `PRISM_SECRET_NAME=value`, which are read by `parseEnv` of Node and never run. */

const QUOTES = ["'", '"', "`"] as const;

/**
 * The text of a file with these values.
 * @throws Error for a value that has each kind of quotes: no line can hold it
 */
export function secretsFileText(values: ReadonlyMap<string, string>): string {
  return [...values].map(([name, value]) => `${name}=${quoted(name, value)}\n`).join("");
}

function quoted(name: string, value: string): string {
  // In double quotes `\n` would be a line break.
  const quote = QUOTES.find((each) => !value.includes(each) && !(each === '"' && value.includes("\\")));
  if (quote === undefined) throw new Error(`the value of ${name} has each kind of quotes`);
  return `${quote}${value}${quote}`;
}
