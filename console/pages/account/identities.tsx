import { useState } from "preact/hooks";
import type { Identity, Setup } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { useGet } from "../../app/query.ts";
import {
  Banner,
  Button,
  Card,
  confirm,
  Dialog,
  EmptyState,
  Field,
  Input,
  Loaded,
  openDialog,
  Time,
  toast,
} from "../../ui/index.ts";
import { answerText, providerAnswer } from "../start/provider-answer.ts";

type Provider = Setup["providers"][number];

/** The accounts of providers that sign the user in; nothing where there are none. */
export function IdentitiesCard() {
  const setup = useGet<Setup>("/setup");
  const identities = useGet<{ readonly data: readonly Identity[] }>("/users/me/identities");
  const { error } = providerAnswer.value;
  const providers = setup.data?.providers ?? [];
  // The header of a proxy is linked by administrators.
  const linkable = providers.filter(({ url }) => url.startsWith("/auth/oidc/"));
  if (providers.length === 0 && (identities.data?.data.length ?? 0) === 0) return null;
  const labelOf = (name: string | null): string =>
    providers.find((each) => each.name === name)?.label ?? name ?? "a provider";
  const unlink = async ({ id, provider }: Identity) => {
    const title = `Unlink ${labelOf(provider)}?`;
    const text = "You can no longer sign in with it. What its groups gave you ends, and so do its other sessions.";
    if (!(await confirm({ title, text, action: "Unlink", danger: true }))) return;
    await api.del(`/users/me/identities/${id}`);
    toast.ok("The account is unlinked.");
    identities.reload();
  };
  return (
    <Card title="Linked accounts" sub="Accounts of providers that sign you in.">
      <div class="stack">
        {error !== null && <Banner tone="warn">{answerText(error)}</Banner>}
        <Loaded query={identities}>
          {({ data }) =>
            data.length === 0 ? (
              <EmptyState small title="No linked account" text="Link one to sign in without a password." />
            ) : (
              <ul class="account-rows">
                {data.map((identity) => (
                  <li key={identity.id}>
                    <div>
                      {labelOf(identity.provider)}
                      <div class="muted small">
                        <bdi>{identity.name ?? identity.subject}</bdi>, linked <Time at={identity.linkedAt} />, last
                        used <Time at={identity.lastUsedAt} empty="never" />
                      </div>
                    </div>
                    <Button small onClick={() => unlink(identity)}>
                      Unlink
                    </Button>
                  </li>
                ))}
              </ul>
            )
          }
        </Loaded>
        {linkable.length > 0 && (
          <div class="inline">
            {linkable.map((provider) => (
              <Button key={provider.name} onClick={() => openDialog(<LinkDialog provider={provider} />)}>
                Link {provider.label}
              </Button>
            ))}
          </div>
        )}
      </div>
    </Card>
  );
}

function LinkDialog({ provider }: { readonly provider: Provider }) {
  const [password, setPassword] = useState("");
  const link = async () => {
    const body = { provider: provider.name, ...(password !== "" && { password }) };
    // The answer has the cookie with which that of the provider is checked.
    const extra = { credentials: "same-origin" } as const;
    const { url } = await api.post<{ readonly url: string }>("/users/me/identities", body, {}, extra);
    location.assign(url);
  };
  return (
    <Dialog
      size="sm"
      title={`Link ${provider.label}`}
      subtitle="You sign in there, and come back to this page."
      onSubmit={link}
      action="Continue"
    >
      <Field label="Your password" hint="Not needed if you have signed in within the last ten minutes.">
        <Input type="password" value={password} onChange={setPassword} autocomplete="current-password" autoFocus />
      </Field>
    </Dialog>
  );
}
