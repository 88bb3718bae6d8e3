import { UserText } from "../../ui/index.ts";

interface Props {
  readonly lines: readonly string[];
  readonly url?: string;
  readonly mailAddress?: string | null;
}

/** The steps at the sender or the service. */
export function SetupLines({ lines, url = "{url}", mailAddress = null }: Props) {
  return (
    <ol class="stack s2">
      {lines.map((line) => (
        <li key={line}>
          <UserText>{line.replaceAll("{url}", url).replaceAll("{mailAddress}", mailAddress ?? "")}</UserText>
        </li>
      ))}
    </ol>
  );
}
