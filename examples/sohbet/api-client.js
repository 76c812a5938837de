// The application's own calls over HTTP. Its token is kept by the tab, so that two people can be in one browser.

const KEY = 'sohbet.session';

class ApiClient {
  #session = JSON.parse(sessionStorage.getItem(KEY) ?? 'null');

  getToken() {
    return this.#session?.token ?? null;
  }

  get user() {
    return this.#session?.user ?? null;
  }

  async login(username) {
    const { data, error } = await this.#request('/api/login', { username });
    if (data) sessionStorage.setItem(KEY, JSON.stringify((this.#session = data)));
    return { data, error };
  }

  logout() {
    this.#session = null;
    sessionStorage.removeItem(KEY);
  }

  getUsers() {
    return this.#request('/api/users');
  }

  getUserById(id) {
    return this.#request(`/api/users/${id}`);
  }

  getConversations() {
    return this.#request('/api/conversations');
  }

  createConversation(user_id) {
    return this.#request('/api/conversations', { user_id });
  }

  getMessages(conversationId) {
    return this.#request(`/api/conversations/${conversationId}/messages`);
  }

  /** Resolves to `{data}` or `{error}`. */
  async #request(path, body) {
    try {
      const headers = { 'Content-Type': 'application/json', ...(this.getToken() && { Authorization: `Bearer ${this.getToken()}` }) };
      const response = await fetch(path, body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) });
      const data = await response.json();
      return response.ok ? { data } : { error: data.error?.message ?? data.error };
    } catch {
      return { error: 'the server does not answer' };
    }
  }
}

export const apiClient = new ApiClient();
