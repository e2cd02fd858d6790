// A browser that does what it is told, line by line: headless Chromium through playwright-core, and axe-core in every page. Tests are written
// where the node is started; this is their hand.
//
// Arguments: playwright-core's entry file, axe-core's file, Chromium, a directory for pictures. Each line of input is JSON {do, …}; each line of
// output is {ok} or {error}. Parts of a page are named by their data-testid, with further attributes in brackets behind it; a name that begins
// with `css=` is a selector as it is.

import { mkdirSync, readFileSync } from 'node:fs'
import readline from 'node:readline'
import { pathToFileURL } from 'node:url'

const [, , playwright, axe, executablePath, pictures] = process.argv
const { chromium } = await import(pathToFileURL(playwright))
const axeSource = readFileSync(axe, 'utf8')
mkdirSync(pictures, { recursive: true })

/** How long anything may take to come. */
const PATIENCE = 30_000
const SIZES = { wide: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } }

const browser = await chromium.launch({
  executablePath,
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
/** Each person has a browser of their own: cookies, storage, page. */
const people = new Map()
/** What no page may do: errors on the console, violations of the policy. */
const faults = []

function css(name) {
  if (name.startsWith('css=')) return name.slice(4)
  const [, id, rest] = /^([^[ ]+)(.*)$/s.exec(name)
  return `[data-testid="${id}"]${rest}`
}

async function person(options) {
  const context = await browser.newContext({ viewport: SIZES.wide, colorScheme: 'light', locale: 'en-GB', timezoneId: 'UTC', ...options })
  await context.addInitScript(axeSource)
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`)
    })
  })
  const page = await context.newPage()
  page.setDefaultTimeout(PATIENCE)
  page.on('console', (message) => {
    // That an answer was a refusal, or none came, is for the page to show; the browser says it too.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) faults.push(message.text())
  })
  page.on('pageerror', (error) => faults.push(String(error.stack ?? error)))
  page.on('dialog', (dialog) => {
    faults.push(`a dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  return { context, page }
}

async function ready(page) {
  await page.locator('html[data-ready]').waitFor({ state: 'attached' })
}

async function judged(page) {
  const found = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
    return violations.map(({ id, help, nodes }) => ({ id, help, at: nodes.slice(0, 4).map(({ target, failureSummary }) => `${target}: ${failureSummary}`) }))
  })
  return found
}

const deeds = {
  async open({ who, size = 'wide', scheme = 'light' }) {
    people.set(who, await person({ viewport: SIZES[size], colorScheme: scheme, ...(size === 'phone' ? { hasTouch: true, isMobile: true } : {}) }))
  },
  async goto({ page, url }) {
    await page.goto(url)
    await ready(page)
  },
  async click({ part }) {
    await part.click()
  },
  async fill({ part, text }) {
    await part.fill(text)
  },
  async press({ page, key }) {
    await page.keyboard.press(key)
  },
  async wait({ part, all, text, gone }) {
    if (gone) return all.first().waitFor({ state: 'hidden' })
    await (text === undefined ? part : all.filter({ hasText: text }).first()).waitFor({ state: 'visible' })
  },
  async text({ part }) {
    return part.innerText()
  },
  async attribute({ part, name }) {
    return part.getAttribute(name)
  },
  async count({ all }) {
    return all.count()
  },
  async enabled({ part }) {
    return part.isEnabled()
  },
  async shot({ page, name }) {
    await page.screenshot({ path: `${pictures}/${name}.png` })
  },
  /** What the person sees now, in both themes and sizes: a picture of each, and what axe has against it. */
  async look({ context, page, name, until }) {
    const storageState = await context.storageState()
    const found = []
    for (const [size, viewport] of Object.entries(SIZES)) {
      const mobile = size === 'phone' ? { hasTouch: true, isMobile: true, deviceScaleFactor: 2 } : {}
      const other = await person({ viewport, storageState, ...mobile })
      await other.page.goto(page.url())
      await ready(other.page)
      for (const one of until) await other.page.locator(css(one)).filter({ visible: true }).first().waitFor()
      await other.page.locator('[aria-busy=true]').first().waitFor({ state: 'detached' })
      const wide = await other.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      if (wide > 0) found.push({ id: 'overflow', help: `${wide} px wider than the window`, at: [size] })
      for (const colorScheme of ['light', 'dark']) {
        await other.page.emulateMedia({ colorScheme })
        await other.page.screenshot({ path: `${pictures}/${name}-${size}-${colorScheme}.png` })
        for (const violation of await judged(other.page)) found.push({ ...violation, size, colorScheme })
      }
      await other.context.close()
    }
    return found
  },
  async run({ page, code }) {
    return page.evaluate(code)
  },
  async faults() {
    return faults
  },
}

console.log(JSON.stringify({ ok: browser.version() }))
for await (const line of readline.createInterface({ input: process.stdin })) {
  const told = JSON.parse(line)
  const { context, page } = people.get(told.who) ?? {}
  const all = page && told.part ? page.locator(css(told.part)) : undefined
  const part = all?.filter({ visible: true }).first()
  try {
    const ok = await deeds[told.do]({ ...told, context, page, part, all })
    console.log(JSON.stringify({ ok: ok ?? null }))
  } catch (error) {
    await page?.screenshot({ path: `${pictures}/failed-${process.pid}.png` }).catch(() => {})
    const text = await page?.evaluate(() => document.body.innerText).catch(() => '')
    console.log(JSON.stringify({ error: `${error}\n${page?.url()}\n${text}\n${faults.join('\n')}` }))
  }
}
await browser.close()
