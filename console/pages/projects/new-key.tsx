import type { ApiKey, CreateApiKey } from "../../../src/client/api-types.gen.ts";
import { apiKey } from "../../forms/api-key.gen.ts";
import { Fields } from "../../forms/fields.tsx";
import { useResource } from "../../forms/use-resource.ts";
import { Checkbox, Dialog, SecretDialog } from "../../ui/index.ts";

const SCOPES = [
  { name: "events:write", text: "send events" },
  { name: "events:read", text: "read events" },
  { name: "realtime:subscribe", text: "follow streams" },
  { name: "realtime:publish", text: "publish to channels" },
  { name: "notifications:send", text: "send notifications to members" },
  { name: "silences:write", text: "silence alerts" },
  { name: "silences:broad", text: "silence many alerts at once, besides silences:write" },
  { name: "mirror:observe", text: "report what the system beside a mirror project did" },
] as const;

type Scope = (typeof SCOPES)[number]["name"];

/** Shows a secret once. */
export function KeyDialog({ value }: { readonly value: string }) {
  return <SecretDialog title="The secret of the key" label="API key" value={value} hint="It is not shown again." />;
}

/** What a key may. */
export function textOf(scopes: readonly string[]): string {
  return scopes.map((scope) => SCOPES.find(({ name }) => name === scope)?.text ?? scope).join(", ");
}

/** A key with its scopes; the dialog ends with its secret. */
export function NewKey({ path }: { readonly path: string }) {
  const form = useResource<CreateApiKey, ApiKey & { readonly key: string }>(apiKey, {
    path,
    start: { scopes: ["events:write", "events:read"] },
  });
  const { scopes = [] } = form.values;
  const create = async () => {
    const made = await form.send();
    return made === undefined ? false : <KeyDialog value={made.key} />;
  };
  const grant = (scope: Scope, isGranted: boolean) =>
    form.change({ scopes: isGranted ? [...scopes, scope] : scopes.filter((other) => other !== scope) });
  return (
    <Dialog title="New API key" size="sm" onSubmit={create} action="Create key" blocked={scopes.length === 0}>
      <Fields of={form} show={[{ name: "name", required: true, autoFocus: true }]} />
      <fieldset class="stack s2">
        <legend>It may</legend>
        {SCOPES.map(({ name, text }) => (
          <Checkbox
            key={name}
            label={text}
            hint={name}
            checked={scopes.includes(name)}
            onChange={(isGranted) => grant(name, isGranted)}
          />
        ))}
      </fieldset>
      <Fields of={form} show={[{ name: "expiresAt", label: "Ends" }]} />
    </Dialog>
  );
}
