import { href, SERVER_URL } from "../../app/base.ts";
import { ListPage } from "../../app/list-page.tsx";
import { useQueryState } from "../../app/navigate.ts";
import { useGet } from "../../app/query.ts";
import { Button, Card, CodeBlock, type Column, plural, SearchInput, Toolbar } from "../../ui/index.ts";
import { type ApiDocument, type Operation, operationsOf } from "./operations.ts";

const COLUMNS: readonly Column<Operation>[] = [
  { label: "Method", cell: ({ method }) => <span class="mono strong">{method}</span>, card: "aside", width: "min" },
  { label: "Path", cell: ({ path }) => <span class="mono">{path}</span>, card: "title", width: "wide" },
  { label: "What it does", cell: ({ summary }) => summary, card: "text", width: "wide" },
  { label: "Permission", cell: ({ permission }) => <span class="mono small nowrap">{permission}</span>, priority: 2 },
];

const EXAMPLE = `curl -X POST ${SERVER_URL}/api/v1/events \\\n  -H "X-API-Key: $PRISM_KEY" -H "Content-Type: application/json" \\\n  -d '{"type": "host.down", "payload": {"host": "db-2"}}'`;

/** Everything that the console does can be done by programs, with the same requests. */
export default function Reference() {
  const [text, setText] = useQueryState("q");
  const { data, ...query } = useGet<ApiDocument>("/openapi.json");
  const all = data && operationsOf(data);
  const words = text.toLowerCase().split(/\s+/);
  const rows = all?.filter(({ method, path, summary, tag }) => {
    const line = `${method} ${path} ${summary} ${tag}`.toLowerCase();
    return words.every((word) => line.includes(word));
  });
  const count = all && `${plural(all.length, "operation")}. The console uses the same ones.`;
  return (
    <ListPage<Operation>
      of={{ ...query, items: rows }}
      title="API reference"
      label="Operations"
      subtitle={count ?? "The requests that programs can make."}
      noun="operation"
      columns={COLUMNS}
      actions={
        <>
          <Button href={`${SERVER_URL}/docs`}>Documentation</Button>
          <Button href={`${SERVER_URL}/docs/api`} variant="primary">
            Full reference
          </Button>
        </>
      }
      rowKey={({ method, path }) => `${method} ${path}`}
      dense
      above={
        <Toolbar>
          <SearchInput value={text} onChange={setText} placeholder="Path, method or words" label="Search operations" />
        </Toolbar>
      }
      empty={{ title: "No operation matches", text: "Change the search." }}
    >
      <Card title="Send an event" sub="With an API key of a project.">
        <CodeBlock text={EXAMPLE} label="Send an event with curl" />
        <p class="small">
          <a href={href("/projects")}>Projects have the API keys</a>
          {"; your own service tokens are in "}
          <a href={href("/account/tokens")}>your account</a>.
        </p>
      </Card>
    </ListPage>
  );
}
