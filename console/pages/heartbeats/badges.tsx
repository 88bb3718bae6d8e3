import { useState } from "preact/hooks";
import type { Heartbeat } from "../../../src/client/api-types.gen.ts";
import { useGet } from "../../app/query.ts";
import { Card, CodeBlock, choices, Segmented } from "../../ui/index.ts";
import { titleOf } from "./heartbeat-types.ts";

const FORMATS = choices({ svg: "SVG", json: "JSON", shields: "Shields.io", markdown: "Markdown" });

/** Badges need no key: they are at the address of this page also when the public URL differs. */
function ownPath(url: string): string {
  return new URL(url).pathname;
}

export function Badges({ heartbeat }: { readonly heartbeat: Heartbeat }) {
  const [format, setFormat] = useState("svg");
  const { badgeUrl, projectId, pingUrl, status, lastPingAt } = heartbeat;
  const keys = useGet<{ badgeUrl: string | null }>(pingUrl === null ? null : "/heartbeats/key", { projectId });
  const ofProject = keys.data?.badgeUrl ?? null;
  const text = (url: string) =>
    format === "markdown" ? `![${titleOf(heartbeat)}](${url})` : url.replace(/\.svg$/, `.${format}`);
  const image = (url: string, alt: string) => (
    <img class="hb-badge" src={`${ownPath(url)}?${status} ${lastPingAt}`} alt={alt} />
  );
  return (
    <Card title="Badges" sub="Public links that show the state.">
      <div class="stack">
        <Segmented label="Format" small value={format} onChange={setFormat} options={FORMATS} />
        <div class="hb-url">
          {image(badgeUrl, `Badge of ${titleOf(heartbeat)}: ${status}`)}
          <CodeBlock label="This heartbeat" text={text(badgeUrl)} wrap />
        </div>
        {ofProject !== null && (
          <div class="hb-url">
            {image(ofProject, "Badge of all heartbeats of the project")}
            <CodeBlock label="All of the project" text={text(ofProject)} wrap />
          </div>
        )}
      </div>
    </Card>
  );
}
