// What a site pastes. It makes every <form data-leadloop> send itself to Leadloop without leaving the page, with a
// submission id (a second click is the same submission), the campaign that brought the visitor, and the faults beside
// the fields. Until the visitor agrees to tracking nothing about them is kept or sent.
(() => {
  // The page on which this visit began, or the latest to which a campaign brought it.
  const campaign = location.search.includes('utm_');
  const landing = (!campaign && sessionStorage.getItem('ll-landing')) || location.href;
  sessionStorage.setItem('ll-landing', landing);
  const query = new URL(landing).searchParams;
  const source = { landing_page: landing.split('?')[0] };
  for (const name of ['utm_source', 'utm_medium', 'utm_campaign', 'utm_term', 'utm_content'])
    if (query.get(name)) source[name] = query.get(name);

  const visitor = () => localStorage.getItem('ll-visitor');
  const viewed = new Set();
  const track = (form) => {
    if (!visitor() || viewed.has(form.action)) return;
    viewed.add(form.action);
    const activity = { kind: 'page_viewed', properties: { path: location.pathname }, id: crypto.randomUUID() };
    const body = { anonymous_id: visitor(), consent: { tracking: true }, activities: [activity] };
    fetch(form.action + '/activities', { method: 'POST', keepalive: true, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  };

  const show = (form, problem) => {
    form.querySelectorAll('.ll-fault').forEach((old) => old.remove());
    form.querySelectorAll('[aria-invalid]').forEach((field) => field.removeAttribute('aria-invalid'));
    for (const { pointer, detail } of problem.errors || [{ pointer: '', detail: problem.detail }]) {
      const field = form.elements.namedItem(pointer.slice(1)), fault = document.createElement('p');
      fault.className = 'll-fault';
      fault.textContent = detail;
      if (field instanceof Element) { field.setAttribute('aria-invalid', 'true'); field.after(fault); } else form.append(fault);
    }
  };

  for (const form of document.querySelectorAll('form[data-leadloop]')) {
    const submission = crypto.randomUUID(), tracking = form.elements.namedItem('consent_tracking');
    track(form);
    tracking?.addEventListener('change', () => {
      if (tracking.checked) localStorage.setItem('ll-visitor', visitor() || crypto.randomUUID()); else localStorage.removeItem('ll-visitor');
      track(form);
    });
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      const body = { ...Object.fromEntries(new FormData(form)), ...source, submission_id: submission };
      if (visitor()) body.anonymous_id = visitor();
      form.querySelector('[type=submit]').disabled = true;
      try {
        const answer = await fetch(form.action, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
        if (answer.ok) form.innerHTML = '<p class="ll-done" role="status">Thank you! We have received what you sent.</p>';
        else show(form, await answer.json());
      } catch {
        show(form, { detail: 'This could not be sent. Are you online? Please try again; it will arrive only once.' });
      }
      const button = form.querySelector('[type=submit]');
      if (button) button.disabled = false;
    });
  }
})();
