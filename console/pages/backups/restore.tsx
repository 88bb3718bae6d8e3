import type { Backup } from "../../../src/client/api-types.gen.ts";
import { Card, CodeBlock } from "../../ui/index.ts";

interface Props {
  readonly directory: string | undefined;
  readonly newest: Backup | undefined;
}

/** How to go back to an archive. */
export function Restore({ directory = ".", newest }: Props) {
  return (
    <Card title="Restore" sub="On the host, while the server is stopped.">
      <CodeBlock
        label="Command that restores an archive"
        text={`prism restore ${directory}/${newest?.name ?? "<archive>"}`}
        wrap
      />
      {newest && !newest.withSecrets && (
        <p class="muted small">The archives contain no secrets: keep a copy of the encryption key in another system.</p>
      )}
    </Card>
  );
}
