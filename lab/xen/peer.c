/* Licensed under the Apache License, Version 2.0 (the "License"); you may
 * not use this file except in compliance with the License. You may obtain
 * a copy of the License at
 *
 *     http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software
 * distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
 * WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
 * License for the specific language governing permissions and limitations
 * under the License.
 */

/* Reaches from one guest of Xen for another one:
 *
 *   peer listen DOMAIN        an event channel to which DOMAIN may bind
 *   peer bind DOMAIN PORT     binds to such a channel of DOMAIN
 *   peer share DOMAIN         grants DOMAIN a page
 *   peer map DOMAIN GRANT     maps a page that DOMAIN has granted
 *
 * It prints one line, PEER and the command with its result. With "listen" and
 * "share" it then waits, because channel and page end with the process.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Of the kernel's include/uapi/xen/evtchn.h, gntalloc.h and gntdev.h. */
struct bind_interdomain { unsigned int domain, port; };
struct bind_unbound { unsigned int domain; };
struct grant_alloc {
	unsigned short domain, flags;
	unsigned int count;
	unsigned long long index;
	unsigned int grant;
};
struct grant_map {
	unsigned int count, pad;
	unsigned long long index;
	unsigned int domain, grant;
};
#define BIND_INTERDOMAIN _IOC(_IOC_NONE, 'E', 1, sizeof(struct bind_interdomain))
#define BIND_UNBOUND _IOC(_IOC_NONE, 'E', 2, sizeof(struct bind_unbound))
#define GRANT_ALLOC _IOC(_IOC_NONE, 'G', 5, sizeof(struct grant_alloc))
#define GRANT_MAP _IOC(_IOC_NONE, 'G', 0, sizeof(struct grant_map))
#define WRITABLE 1

static int device(const char *path)
{
	int file = open(path, O_RDWR);

	if (file < 0) {
		printf("PEER %s: %s\n", path, strerror(errno));
		exit(1);
	}
	return file;
}

static void *page(int file, unsigned long long index)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, index);
}

static int result(const char *what, int domain, int number)
{
	if (number < 0)
		printf("PEER %s %d: refused: %s\n", what, domain, strerror(errno));
	else
		printf("PEER %s %d: allowed: %d\n", what, domain, number);
	fflush(stdout);
	return number < 0;
}

int main(int count, char **words)
{
	const char *what = count > 2 ? words[1] : "";
	int domain = count > 2 ? atoi(words[2]) : -1;
	int number = count > 3 ? atoi(words[3]) : -1;

	if (!strcmp(what, "listen")) {
		struct bind_unbound asked = { domain };

		if (!result(what, domain,
			    ioctl(device("/dev/xen/evtchn"), BIND_UNBOUND, &asked)))
			pause();
	} else if (!strcmp(what, "bind")) {
		struct bind_interdomain asked = { domain, number };

		return result(what, domain,
			      ioctl(device("/dev/xen/evtchn"), BIND_INTERDOMAIN,
				    &asked));
	} else if (!strcmp(what, "share")) {
		int file = device("/dev/xen/gntalloc");
		struct grant_alloc asked = { domain, WRITABLE, 1, 0, 0 };

		if (ioctl(file, GRANT_ALLOC, &asked))
			return result(what, domain, -1);
		strcpy(page(file, asked.index), "a page of another guest");
		result(what, domain, asked.grant);
		pause();
	} else if (!strcmp(what, "map")) {
		int file = device("/dev/xen/gntdev");
		struct grant_map asked = { 1, 0, 0, domain, number };
		void *mapped;

		if (ioctl(file, GRANT_MAP, &asked))
			return result(what, domain, -1);
		mapped = page(file, asked.index);
		return result(what, domain, mapped == MAP_FAILED ? -1 : number);
	}
	return 1;
}
