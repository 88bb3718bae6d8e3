import { useEffect, useState } from "preact/hooks";
import { SetupOffer } from "../pages/start/setup-offer.tsx";
import { Banner, Button, Time, UiHost } from "../ui/index.ts";
import { goTo, useHotkeys } from "./hotkeys.ts";
import { connection, isLost, useStream } from "./live.ts";
import { navigate } from "./navigate.ts";
import { MoreMenu, SideBar, TabBar, visibleNav } from "./navigation.tsx";
import { shownFrom } from "./offline.ts";
import { Palette } from "./palette.tsx";
import { retryFailed } from "./query.ts";
import { useRefresh } from "./refresh.ts";
import { Pages } from "./routes.tsx";
import { me, reloadMe } from "./session.ts";
import { ShortcutHelp } from "./shortcut-help.tsx";
import { update, updateWaiting } from "./worker.ts";

/** The frame around the pages of a signed-in user. */
export function Shell() {
  const [isSearching, setSearching] = useState(false);
  const [isHelpOpen, setHelpOpen] = useState(false);
  const [isMoreOpen, setMoreOpen] = useState(false);
  useHotkeys({ "?": () => setHelpOpen(true) });
  // Keeps the connection open, so that its state is shown on every page.
  useStream("user:me", () => undefined);
  // Roles may have changed since.
  useRefresh(() => void reloadMe().catch(() => undefined));
  useEffect(() => {
    addEventListener("online", retryFailed);
    const stop = connection.subscribe((state) => state === "live" && retryFailed());
    return () => {
      removeEventListener("online", retryFailed);
      stop();
    };
  }, []);
  useEffect(() => {
    const openPalette = (event: KeyboardEvent) => {
      if (event.key !== "k" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      setSearching(true);
    };
    addEventListener("keydown", openPalette);
    return () => removeEventListener("keydown", openPalette);
  }, []);
  const nav = visibleNav();
  useEffect(() => {
    goTo.clear();
    for (const { shortcut, path } of nav) if (shortcut) goTo.set(shortcut, () => navigate(path));
  }, [me.value, nav.length]);
  return (
    <div class="app">
      <a class="skip" href="#content">
        Skip to content
      </a>
      <SideBar onSearch={() => setSearching(true)} />
      <main class="content" id="content" tabIndex={-1}>
        <OfflineBanner />
        <UpdateBanner />
        <SetupOffer />
        <Pages />
      </main>
      <TabBar onMore={() => setMoreOpen(true)} />
      <MoreMenu isOpen={isMoreOpen} onClose={() => setMoreOpen(false)} onSearch={() => setSearching(true)} />
      <Palette isOpen={isSearching} onClose={() => setSearching(false)} />
      <ShortcutHelp isOpen={isHelpOpen} onClose={() => setHelpOpen(false)} />
      <UiHost />
    </div>
  );
}

function OfflineBanner() {
  const at = shownFrom.value;
  if (connection.value !== "offline" && !isLost.value && at === null) return null;
  return (
    <div class="shell-banner">
      <Banner tone="warn">
        {connection.value === "offline" ? "You are offline." : "The server cannot be reached."} The pages show what this
        browser last received
        {at !== null && (
          <>
            , <Time at={at} />
          </>
        )}
        .
      </Banner>
    </div>
  );
}

function UpdateBanner() {
  if (!updateWaiting.value) return null;
  const action = (
    <Button small onClick={update}>
      Reload
    </Button>
  );
  return (
    <div class="shell-banner">
      <Banner tone="info" action={action}>
        A new version of the console is ready.
      </Banner>
    </div>
  );
}
