import { useEffect } from "preact/hooks";
import type { Setup } from "../../../src/client/api-types.gen.ts";
import { SERVER_URL } from "../../app/base.ts";
import { endedBecause, NO_REDIRECT_KEY } from "../../app/session.ts";
import { Button } from "../../ui/index.ts";
import { providerAnswer } from "./provider-answer.ts";

interface ProvidersProps {
  readonly setup: Setup | undefined;
  /** The page to return to. */
  readonly next: string;
}

const urlOf = (path: string, next: string): string => `${SERVER_URL}${path}?returnTo=${encodeURIComponent(next)}`;

/** Buttons that lead to the sign-in pages of providers. */
export function Providers({ setup, next }: ProvidersProps) {
  if (!setup || setup.providers.length === 0) return null;
  return (
    <div class="stack">
      {setup.providers.map(({ name, label, url }) => (
        <Button key={name} full href={urlOf(url, next)}>
          Sign in with {label}
        </Button>
      ))}
    </div>
  );
}

/**
 * Leads to the provider of `autoRedirect`, once in a tab until the next sign-in: never after an error or a sign-out,
 * and not with `?local`. @returns whether it does
 */
export function useAutoRedirect({ setup, next }: ProvidersProps): boolean {
  const path = setup?.autoRedirect ?? null;
  const { error, challenge } = providerAnswer.value;
  const isStopped =
    error !== null ||
    challenge !== null ||
    endedBecause.value !== null ||
    new URLSearchParams(location.search).has("local") ||
    sessionStorage.getItem(NO_REDIRECT_KEY) !== null;
  const leads = path !== null && !isStopped;
  useEffect(() => {
    if (!leads) return;
    sessionStorage.setItem(NO_REDIRECT_KEY, "redirected");
    location.assign(urlOf(path, next));
  }, [leads]);
  return leads;
}
