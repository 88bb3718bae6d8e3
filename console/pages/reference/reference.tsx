import { href, SERVER_URL } from "../../app/base.ts";
import { useQueryState } from "../../app/navigate.ts";
import { useGet } from "../../app/query.ts";
import {
  Button,
  Card,
  CodeBlock,
  type Column,
  DataTable,
  EmptyState,
  Page,
  plural,
  SearchInput,
  Toolbar,
} from "../../ui/index.ts";

interface Operation {
  readonly method: string;
  readonly path: string;
  readonly summary: string;
  readonly tag: string;
  readonly permission: string;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, DocumentOperation>>>>;
}

interface DocumentOperation {
  readonly operationId?: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly "x-permission"?: string;
  readonly "x-alias-of"?: string;
}

const COLUMNS: readonly Column<Operation>[] = [
  { label: "Method", cell: ({ method }) => <span class="mono strong">{method}</span>, card: "aside", width: "min" },
  { label: "Path", cell: ({ path }) => <span class="mono">{path}</span>, card: "title", width: "wide" },
  { label: "What it does", cell: ({ summary }) => summary, card: "text", width: "wide" },
  { label: "Permission", cell: ({ permission }) => <span class="mono small nowrap">{permission}</span>, priority: 2 },
];

function operationsOf(document: Document): readonly Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, { operationId, ...operation }]) => operationId !== undefined && !operation["x-alias-of"])
      .map(([method, operation]) => ({
        method: method.toUpperCase(),
        path,
        summary: operation.summary,
        tag: operation.tags[0] ?? "",
        permission: operation["x-permission"] ?? "",
      })),
  );
}

/** Everything that the console does can be done by programs, with the same requests. */
export default function Reference() {
  const [text, setText] = useQueryState("q");
  const query = useGet<Document>("/openapi.json");
  const all = query.data ? operationsOf(query.data) : undefined;
  const words = text.toLowerCase().split(/\s+/);
  const rows = all?.filter(({ method, path, summary, tag }) => {
    const line = `${method} ${path} ${summary} ${tag}`.toLowerCase();
    return words.every((word) => line.includes(word));
  });
  const example = `curl -X POST ${SERVER_URL}/api/v1/events \\\n  -H "X-API-Key: $PRISM_KEY" -H "Content-Type: application/json" \\\n  -d '{"type": "host.down", "payload": {"host": "db-2"}}'`;
  return (
    <Page
      title="API reference"
      subtitle={
        all
          ? `${plural(all.length, "operation")}. The console uses the same ones.`
          : "The requests that programs can make."
      }
      actions={
        <>
          <Button href={`${SERVER_URL}/docs`}>Documentation</Button>
          <Button href={`${SERVER_URL}/docs/api`} variant="primary">
            Full reference
          </Button>
        </>
      }
    >
      <Card title="Send an event" sub="With an API key of a project.">
        <CodeBlock text={example} label="Send an event with curl" />
        <p class="small">
          <a href={href("/projects")}>Projects have the API keys</a>
          {"; your own service tokens are in "}
          <a href={href("/account/tokens")}>your account</a>.
        </p>
      </Card>
      <Toolbar>
        <SearchInput value={text} onChange={setText} placeholder="Path, method or words" label="Search operations" />
      </Toolbar>
      <DataTable<Operation>
        label="Operations"
        rows={rows}
        rowKey={({ method, path }) => `${method} ${path}`}
        columns={COLUMNS}
        dense
        loading={query.loading}
        error={query.error}
        retry={query.reload}
        empty={<EmptyState title="No operation matches" text="Change the search." />}
      />
    </Page>
  );
}
