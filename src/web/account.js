// What the links in account mails open. The token is behind the "#" and goes to the API in a body, never into a URL. Only the link that
// ends mails has it in the query: mail programs post to that link as it is.
const page = location.pathname.split("/").pop();
const token = new URLSearchParams(page === "unsubscribe" ? location.search : location.hash.slice(1)).get("token") ?? "";
const element = (id) => document.getElementById(id);
const section = element(page);

/** Sends a request to the API beside this page, wherever a proxy has put both. @throws Error with a text for people */
async function send(path, body, accessToken) {
  const headers = { "Content-Type": "application/json" };
  if (accessToken) headers.Authorization = `Bearer ${accessToken}`;
  const url = new URL(`../api/v1/${path}`, location.href);
  const init = { method: "POST", headers, body: JSON.stringify(body), credentials: "omit" };
  return answerOf(fetch(url, init));
}

async function answerOf(request) {
  const response = await request.catch(() => {
    throw new Error("The server cannot be reached. Try again.");
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(textOf(answer.error, response));
  return answer;
}

function textOf(error, response) {
  if (error?.code === "LINK_EXPIRED") return "This link has expired or was used. Ask for another one.";
  if (error?.code === "RATE_LIMITED")
    return `Too many attempts. Try again in ${response.headers.get("Retry-After") ?? "60"} seconds.`;
  const details = (error?.details ?? []).map(({ path, message }) => (path ? `${path}: ${message}` : message));
  return [error?.message ?? "Something went wrong. Try again.", ...details].join(". ");
}

function show(text) {
  const message = element("message");
  message.textContent = text;
  message.focus();
}

const given = (form, name) => String(new FormData(form).get(name) ?? "").trim();
const passwordOf = (form) => String(new FormData(form).get("password") ?? "");
const named = (form) => (given(form, "name") ? { name: given(form, "name") } : {});
const stateText = (status) =>
  status === "active" ? "You can log in now." : "An administrator has yet to approve the account.";

/** What each form does. @returns the text that is shown when it is done */
const actions = {
  async resetPassword(form) {
    await send("auth/reset-password", { token, password: passwordOf(form) });
    return "Your password is changed. You can log in now.";
  },
  async acceptInvite(form) {
    await send("auth/register", { inviteToken: token, password: passwordOf(form), ...named(form) });
    return "Your account is open. You can log in now.";
  },
  async verifyEmail() {
    const { status } = await send("auth/verify-email", { token });
    return `Your mail address is confirmed. ${stateText(status)}`;
  },
  async unsubscribe() {
    const body = new URLSearchParams({ "List-Unsubscribe": "One-Click" });
    await answerOf(fetch(location.href, { method: "POST", body, credentials: "omit" }));
    return "No more such mails are sent to you. You can change this in your preferences.";
  },
  async joinWithAccount(form) {
    const credentials = { login: given(form, "login"), password: passwordOf(form), tokenDelivery: "body" };
    const login = await send("auth/login", credentials);
    try {
      const { projectName } = await send("users/me/invitations", { token }, login.accessToken);
      return `You are now a member of ${projectName}.`;
    } finally {
      // This page keeps no login.
      await send("auth/logout", {}, login.accessToken).catch(() => undefined);
    }
  },
  async joinAsNew(form) {
    const account = { email: given(form, "email"), password: passwordOf(form), ...named(form) };
    const { status } = await send("auth/register", { ...account, projectInviteToken: token });
    return `Your account is made and a member of the project. ${stateText(status)}`;
  },
};

async function submit(event) {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const text = await actions[form.dataset.action](form);
    section.hidden = true;
    show(text);
  } catch (error) {
    show(error.message);
  } finally {
    button.disabled = false;
  }
}

async function showInvitation() {
  const about = await send("auth/project-invitation", { token });
  const inviter = about.invitedBy || "A user";
  element("about").textContent = `${inviter} invites you to the project ${about.projectName} as ${about.role}.`;
  element("new-email").value = about.email;
  element("join-new").hidden = about.registration === "closed";
  element("join-closed").hidden = about.registration !== "closed";
}

async function start() {
  if (!section || token === "") return show("This link is not complete. Copy the whole link from the mail.");
  document.title = section.querySelector("h1").textContent;
  for (const form of section.querySelectorAll("form")) form.addEventListener("submit", submit);
  try {
    if (page === "project-invitation") await showInvitation();
    if (page === "unsubscribe") element("mail-kind").textContent = token.split(".")[1] ?? "";
    section.hidden = false;
    section.querySelector("input:not([readonly]), button").focus();
  } catch (error) {
    show(error.message);
  }
}

// Another link in the same tab changes only what is behind the "#".
addEventListener("hashchange", () => location.reload());
start();
