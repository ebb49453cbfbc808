// A page whose numbers are still being worked out looks again until they are there.

if (document.querySelector("[data-again]")) setTimeout(() => location.reload(), 2000);
