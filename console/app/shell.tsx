import { useEffect, useLayoutEffect } from "preact/hooks";
import { SetupOffer } from "../pages/start/setup-offer.tsx";
import { Banner, Button, openDialog, Time, UiHost } from "../ui/index.ts";
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

const search = () => openDialog(<Palette />);

/** The frame around the pages of a signed-in user. */
export function Shell() {
  useHotkeys({ "?": () => openDialog(<ShortcutHelp />) });
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
  useLayoutEffect(() => {
    const openPalette = (event: KeyboardEvent) => {
      if (event.key !== "k" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      // Also from a dialog, such as the search itself.
      if (document.querySelector(".palette") === null) search();
    };
    addEventListener("keydown", openPalette);
    return () => removeEventListener("keydown", openPalette);
  }, []);
  const nav = visibleNav();
  useLayoutEffect(() => {
    goTo.clear();
    for (const { shortcut, path } of nav) if (shortcut) goTo.set(shortcut, () => navigate(path));
  }, [me.value, nav.length]);
  return (
    <div class="app">
      <a class="skip" href="#content">
        Skip to content
      </a>
      <SideBar onSearch={search} />
      <main class="content" id="content" tabIndex={-1}>
        <OfflineBanner />
        <UpdateBanner />
        <SetupOffer />
        <Pages />
      </main>
      <TabBar onMore={() => openDialog(<MoreMenu onSearch={search} />)} />
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
