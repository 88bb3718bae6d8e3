import type { ComponentType } from "preact";
import { useEffect, useLayoutEffect, useState } from "preact/hooks";
import lazy, { ErrorBoundary } from "preact-iso/lazy";
import { exec, Route, Router } from "preact-iso/router";
import { pages } from "../pages/index.ts";
import { closeDialogs, EmptyState, ErrorState, Page } from "../ui/index.ts";
import { href } from "./base.ts";
import { connection } from "./live.ts";
import { canInProject } from "./memberships.ts";
import { usePath } from "./navigate.ts";
import type { PageProps, PageRoute } from "./page-module.ts";
import { can } from "./session.ts";

const routes = pages.flatMap((page) => page.routes).map((page) => ({ path: href(page.path), ...guarded(page) }));

/** Loads the page of the current address while the session is being opened. */
export function preloadPage(): void {
  const found = routes.find(({ path }) => exec(location.pathname, path));
  // The page itself says so when its script cannot be loaded.
  found?.preload().catch(() => undefined);
}

/** The component of a page, loaded on its first visit, for users with its permission. */
function guarded({ load, permission, within }: PageRoute) {
  const Lazy = lazy(load);
  const page = function GuardedPage(props: PageProps) {
    const isAllowed = permission === undefined || (within ? canInProject : can)(permission);
    if (isAllowed === undefined) return null;
    if (!isAllowed) return <Forbidden permission={permission ?? ""} />;
    return <Lazy {...props} />;
  };
  return { page: page as ComponentType<PageProps>, preload: () => Lazy.preload() };
}

function Forbidden({ permission }: { readonly permission: string }) {
  const text = `Your roles do not include the permission ${permission}. Ask an administrator for a role with it.`;
  return (
    <Page title="Not allowed" subtitle="You may not open this page.">
      <EmptyState title="A permission is missing" text={text} />
    </Page>
  );
}

function NotFound() {
  return (
    <Page title="Not found" subtitle="There is no such page.">
      <EmptyState title="No page has this address" text="It may be old. Use the navigation or the search." />
    </Page>
  );
}

/** Shows the page of the current address. */
export function Pages() {
  const [failure, setFailure] = useState<unknown>();
  const [isLoading, setLoading] = useState(false);
  const path = usePath();
  useLayoutEffect(() => closeDialogs, [path]);
  useEffect(() => {
    document.documentElement.toggleAttribute("data-loading", isLoading);
  }, [isLoading]);
  useEffect(() => {
    if (failure === undefined) return;
    // A script that could not be loaded stays failed until the page loads again.
    let isAway = false;
    return connection.subscribe((state) => {
      if (state === "live" && isAway) location.reload();
      isAway = state !== "live";
    });
  }, [failure]);
  if (failure !== undefined) {
    const retry = () => location.reload();
    return <ErrorState title="This page could not be shown" error={failure} retry={retry} />;
  }
  return (
    <ErrorBoundary onError={setFailure}>
      <Router onLoadStart={() => setLoading(true)} onLoadEnd={() => setLoading(false)}>
        {routes.map(({ path, page }) => (
          <Route key={path} path={path} component={page} />
        ))}
        <Route default component={NotFound as ComponentType} />
      </Router>
    </ErrorBoundary>
  );
}
