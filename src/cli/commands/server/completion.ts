import { Argument, type Command, type Option } from "commander";
import { single } from "../../resource.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;
type Shell = (typeof SHELLS)[number];

/** A command for completion. */
interface Node {
  /** The words after `prism`, each with a leading space; empty for the program. */
  readonly path: string;
  readonly description: string;
  readonly commands: readonly Node[];
  readonly options: readonly Flag[];
  /** Fixed values of the command's arguments. */
  readonly choices: readonly string[];
}

interface Flag {
  readonly name: string;
  readonly short: string | undefined;
  readonly description: string;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
}

/** Prints a script for completing commands, flags and fixed values. */
export function addCompletion(program: Command): void {
  single(program, "completion", {
    text: "print a script that completes commands and options in a shell",
    about: `bash: put it into /etc/bash_completion.d/prism, or ~/.local/share/bash-completion/completions/prism.
zsh: put it as _prism into a directory of $fpath. fish: into ~/.config/fish/completions/prism.fish.`,
    examples: ["$ source <(prism completion bash)", "fish > ~/.config/fish/completions/prism.fish"],
    args: { shell: new Argument("<shell>", "shell to complete in").choices(SHELLS) },
    act: (_context, { shell }) => void process.stdout.write(completionScript(program, shell as Shell)),
  });
}

/** @param program the program to complete. */
export function completionScript(program: Command, shell: Shell): string {
  const root = nodeOf(program, "");
  switch (shell) {
    case "bash":
      return bashScript(root);
    case "zsh":
      return zshScript(root);
    case "fish":
      return fishScript(root);
  }
}

function nodeOf(command: Command, path: string): Node {
  const help = command.createHelp();
  // Commander's entry of --help has no long description; `help` completes like any command.
  const options = help.visibleOptions(command).map(flagOf);
  const commands = help.visibleCommands(command).map((each) => nodeOf(each, `${path} ${each.name()}`));
  const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  return { path, description: firstSentence(command.description()), commands, options, choices };
}

function flagOf({ long, short, description, required, optional, argChoices }: Option): Flag {
  return {
    name: long ?? short ?? "",
    short: long === undefined ? undefined : short,
    description: firstSentence(description),
    takesValue: required || optional,
    choices: argChoices ?? [],
  };
}

function firstSentence(text: string): string {
  return text.split(/[;:(\n]/, 1)[0]?.trim() ?? "";
}

function allNodes(node: Node): Node[] {
  return [node, ...node.commands.flatMap(allNodes)];
}

/** Global flags may follow a command too. */
function flagsAt(node: Node, root: Node): readonly Flag[] {
  const own = node.options.map(({ name }) => name);
  return [...node.options, ...root.options.filter(({ name }) => !own.includes(name) && name !== "--version")];
}

function wordsAt(node: Node): string {
  return [...node.commands.map(({ path }) => path.split(" ").at(-1) ?? ""), ...node.choices].join(" ");
}

/** Lines of a `case` for bash and zsh: values after a flag. */
function valueCases(root: Node): string {
  const flags = allNodes(root).flatMap(({ path, options }) =>
    // Global flags may be anywhere.
    options.map((flag) => ({ ...flag, pattern: path === "" ? `*"|${flag.name}"` : `"${path}|${flag.name}"` })),
  );
  const free = flags.filter(({ takesValue, choices }) => takesValue && choices.length === 0);
  return [
    ...flags
      .filter(({ choices }) => choices.length > 0)
      .map(({ pattern, choices }) => `    (${pattern}) values="${choices.join(" ")}"; isValue=1 ;;`),
    `    (${free.map(({ pattern }) => pattern).join("|")}) isValue=1 ;;`,
  ].join("\n");
}

function commandCases(root: Node): string {
  const lines = allNodes(root).map((node) => {
    const flags = flagsAt(node, root).map(({ name }) => name);
    return `    ("${node.path}") commands="${wordsAt(node)}"; flags="${flags.join(" ")}" ;;`;
  });
  return lines.join("\n");
}

/** All commands as patterns of one `case`. */
function pathPattern(root: Node): string {
  return allNodes(root)
    .slice(1)
    .map(({ path }) => `"${path}"`)
    .join("|");
}

function bashScript(root: Node): string {
  return `# bash completion of prism
_prism() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}"
  local cmd="" values="" isValue=0 commands="" flags="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$cmd \${COMP_WORDS[i]}" in
      ${pathPattern(root)}) cmd="$cmd \${COMP_WORDS[i]}" ;;
    esac
  done
  COMPREPLY=()
  case "$cmd|$prev" in
${valueCases(root)}
  esac
  if ((isValue)); then
    [[ -n $values ]] && COMPREPLY=($(compgen -W "$values" -- "$cur"))
    return
  fi
  case "$cmd" in
${commandCases(root)}
  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$cur"))
  elif [[ -n $commands ]]; then
    COMPREPLY=($(compgen -W "$commands" -- "$cur"))
  fi
}
complete -o default -F _prism prism
`;
}

function zshScript(root: Node): string {
  return `#compdef prism
# zsh completion of prism
_prism() {
  local cur="\${words[CURRENT]}" prev="\${words[CURRENT-1]}"
  local cmd="" values="" isValue=0 commands="" flags="" i
  for ((i = 2; i < CURRENT; i++)); do
    case "$cmd \${words[i]}" in
      (${pathPattern(root)}) cmd="$cmd \${words[i]}" ;;
    esac
  done
  case "$cmd|$prev" in
${valueCases(root)}
  esac
  if ((isValue)); then
    if [[ -n $values ]]; then compadd -- \${=values}; else _files; fi
    return
  fi
  case "$cmd" in
${commandCases(root)}
  esac
  if [[ $cur == -* ]]; then
    compadd -- \${=flags}
  elif [[ -n $commands ]]; then
    compadd -- \${=commands}
  else
    _files
  fi
}
if [[ "\${funcstack[1]}" == _prism ]]; then _prism "$@"; else compdef _prism prism; fi
`;
}

function fishScript(root: Node): string {
  const quoted = (text: string): string => `'${text.replace(/[\\']/g, "\\$&")}'`;
  const flagLine = (condition: string, { name, short, description, takesValue, choices }: Flag): string =>
    [
      `complete -c prism${condition} -l ${name.slice(2)}`,
      short === undefined ? "" : ` -s ${short.slice(1)}`,
      takesValue ? " -r" : "",
      choices.length > 0 ? ` -f -a ${quoted(choices.join(" "))}` : "",
      ` -d ${quoted(description)}`,
    ].join("");
  const lines = allNodes(root).flatMap((node) => {
    const condition = ` -n ${quoted(`__prism_at "${node.path}"`)}`;
    return [
      ...node.commands.map(({ path, description }) => {
        const name = path.split(" ").at(-1) ?? "";
        return `complete -c prism${condition} -f -a ${name} -d ${quoted(description)}`;
      }),
      ...(node.choices.length > 0 ? [`complete -c prism${condition} -f -a ${quoted(node.choices.join(" "))}`] : []),
      ...(node === root ? [] : node.options.map((flag) => flagLine(condition, flag))),
    ];
  });
  return `# fish completion of prism
function __prism_at
  set -l cmd ''
  for word in (commandline -opc)[2..-1]
    switch "$cmd $word"
      case ${allNodes(root)
        .slice(1)
        .map(({ path }) => quoted(path))
        .join(" ")}
        set cmd "$cmd $word"
    end
  end
  test "$cmd" = "$argv[1]"
end
${root.options.map((flag) => flagLine("", flag)).join("\n")}
${lines.join("\n")}
`;
}
