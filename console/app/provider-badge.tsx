import { Badge } from "../ui/index.ts";

/** Of a role that groups of a provider give, `oidc:company`: from company. Nothing for other sources. */
export function ProviderBadge({ source }: { readonly source: string | null }) {
  if (!source?.includes(":")) return null;
  const title = "A group there gives the role; change the group, and the next sign-in follows.";
  return (
    <Badge tone="info" title={title}>
      from {source.slice(source.indexOf(":") + 1)}
    </Badge>
  );
}
