// Keeps the page's own files, so that it opens without a network.
//
// The build writes the list and its version. What is not on the list is neither answered nor stored
// here: students, tables and prompts pass by.

const VERSION = "VERSION";
const FILES = ["FILES"];

const PREFIX = "post-page-";
const CACHE = PREFIX + VERSION;
const listed = new Set(FILES.map((file) => new URL(file, self.registration.scope).href));

// All files or none: a cache with a gap would break the page offline. Asks whether what the browser
// has is still what the server has, so nothing is fetched twice.
const keep = async () => (await caches.open(CACHE)).addAll([...listed].map((url) => new Request(url, { cache: "no-cache" })));

const forgetOld = async () => {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(PREFIX) && name !== CACHE).map((name) => caches.delete(name)));
};

const answer = async (request) => (await (await caches.open(CACHE)).match(request)) ?? fetch(request);

self.addEventListener("install", (event) => event.waitUntil(keep().then(() => self.skipWaiting())));
self.addEventListener("activate", (event) => event.waitUntil(forgetOld()));
self.addEventListener("fetch", (event) => {
  // A fragment names a place in the page, not another page.
  if (event.request.method === "GET" && listed.has(event.request.url.split("#")[0])) {
    event.respondWith(answer(event.request));
  }
});
