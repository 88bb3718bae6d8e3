import type { Step } from "../story.ts";
import { PASSWORD } from "../world.ts";

const me = "/api/v1/users/me";
const ada = { Authorization: "Bearer {token}" };
const by = (title: string, ask: string, more: Partial<Step> = {}): Step => ({
  title,
  ask,
  headers: ada,
  as: null,
  ...more,
});

export const SESSIONS: readonly Step[] = [
  {
    title: "register",
    ask: "POST /auth/register",
    body: { username: "ada", email: "ada@example.com", password: PASSWORD, name: "Ada" },
    as: null,
    save: { ada: ["user", "id"] },
  },
  {
    title: "register again",
    ask: "POST /auth/register",
    body: { username: "ada", email: "x@example.com", password: PASSWORD },
    as: null,
  },
  {
    title: "a weak password",
    ask: "POST /auth/register",
    body: { username: "bob", email: "b@example.com", password: "12345678" },
    as: null,
  },
  {
    title: "log in",
    ask: "POST /auth/login",
    body: { login: "ada", password: PASSWORD },
    as: null,
    save: { token: ["token"], refresh: ["cookie"] },
  },
  {
    title: "log in by mail",
    ask: "POST /auth/login",
    body: { login: "ada@example.com", password: PASSWORD },
    as: null,
  },
  { title: "a wrong password", ask: "POST /auth/login", body: { login: "ada", password: "wrong" }, as: null },
  { title: "no such account", ask: "POST /auth/login", body: { login: "none", password: "wrong" }, as: null },
  by("me", `GET ${me}`),
  by("sessions", "GET /api/v1/auth/sessions"),
  by("refresh", "POST /auth/refresh", {
    body: {},
    headers: { Cookie: "{refresh}" },
    save: { token: ["token"] },
  }),
  by("another name", `PUT ${me}`, { body: { name: "Ada Admin", timezone: "Europe/Berlin", locale: "en" } }),
  by("a taken name", `PUT ${me}`, { body: { username: "dev" } }),
  by("a bad zone", `PUT ${me}`, { body: { timezone: "Mars" } }),
  by("a service token", `POST ${me}/tokens`, {
    body: { name: "script", scopes: ["events:write"] },
    save: { service: ["token"], serviceId: ["id"] },
  }),
  by("an event by it", "POST /api/v1/events", { body: { type: "a" }, headers: { Authorization: "Bearer {service}" } }),
  by("what it may not", "GET /api/v1/rules", { headers: { Authorization: "Bearer {service}" } }),
  by("a scope she has not", `POST ${me}/tokens`, { body: { name: "script", scopes: ["users:manage"] } }),
  by("service tokens", `GET ${me}/tokens`),
  by("ended", `DELETE ${me}/tokens/{serviceId}`),
  by("an event by the ended", "POST /api/v1/events", {
    body: { type: "a" },
    headers: { Authorization: "Bearer {service}" },
  }),
  by("a second factor", `POST ${me}/second-factor`, {
    body: { password: PASSWORD },
    save: { secret: ["secret"], uri: ["uri"] },
  }),
];

export const SECOND_FACTOR: readonly Step[] = [
  by("a wrong code", `POST ${me}/second-factor/confirm`, { body: { code: "000000" } }),
  by("the code", `POST ${me}/second-factor/confirm`, { body: { code: "{code}" } }),
  {
    title: "log in",
    ask: "POST /auth/login",
    body: { login: "ada", password: PASSWORD },
    as: null,
    save: { challenge: ["error", "details", 0, "challenge"] },
  },
  {
    title: "the code used before",
    ask: "POST /api/v1/auth/login/second-factor",
    body: { challenge: "{challenge}", code: "{code}" },
    as: null,
  },
  by("me with it", `GET ${me}`),
  { title: "reset by an administrator", ask: "DELETE /api/v1/users/{ada}/second-factor" },
  {
    title: "log in without",
    ask: "POST /auth/login",
    body: { login: "ada", password: PASSWORD },
    as: null,
    save: { token: ["token"], refresh: ["cookie"] },
  },
  by("another password", `PUT ${me}/password`, {
    body: { currentPassword: PASSWORD, password: "a longer horse battery staple" },
  }),
  by("the wrong password before", `PUT ${me}/password`, {
    body: { currentPassword: "wrong", password: "a longer horse battery staple" },
  }),
  by("log out", "POST /auth/logout", { body: {}, headers: { ...ada, Cookie: "{refresh}" } }),
  by("after that", `GET ${me}`),
  by("refresh after that", "POST /auth/refresh", { body: {}, headers: { Cookie: "{refresh}" } }),
  { title: "disabled", ask: "PATCH /api/v1/users/{ada}", body: { status: "disabled" } },
  {
    title: "log in while disabled",
    ask: "POST /auth/login",
    body: { login: "ada", password: "a longer horse battery staple" },
    as: null,
  },
  { title: "removed", ask: "DELETE /api/v1/users/{ada}" },
];

export const INVITATIONS: readonly Step[] = [
  {
    title: "invite",
    ask: "POST /api/v1/projects/{shop}/members",
    body: { email: "auditor@example.com", role: "editor" },
  },
  { title: "invitations of the project", ask: "GET /api/v1/projects/{shop}/invitations" },
  {
    title: "invitations of the person",
    ask: `GET ${me}/invitations`,
    as: "Auditor",
    save: { invitation: ["data", 0, "id"] },
  },
  { title: "accept", ask: `POST ${me}/invitations/{invitation}/accept`, as: "Auditor" },
  { title: "accept again", ask: `POST ${me}/invitations/{invitation}/accept`, as: "Auditor" },
  {
    title: "invite another",
    ask: "POST /api/v1/projects/{shop}/members",
    body: { email: "operator@example.com", role: "viewer" },
  },
  { title: "their invitations", ask: `GET ${me}/invitations`, as: "Operator", save: { invitation: ["data", 0, "id"] } },
  { title: "decline", ask: `DELETE ${me}/invitations/{invitation}`, as: "Operator" },
  { title: "members", ask: "GET /api/v1/projects/{shop}/members" },
  { title: "pages of the account", ask: "GET /account/invite?token=x", as: null, isHead: true },
  { title: "a mail address", ask: "GET /account/verify-email?token=x", as: null, isHead: true },
  { title: "a password", ask: "GET /account/reset-password?token=x", as: null, isHead: true },
  { title: "acknowledge", ask: "GET /account/acknowledge?token=x", as: null, isHead: true },
];
