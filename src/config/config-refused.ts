/** Everything that is wrong with the configuration, at once. */
export class ConfigRefused extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "ConfigRefused";
    this.problems = problems;
  }
}
