//! What the mail that asks says, and the two pages: in the languages of the built-in letter.
//!
//! What somebody agrees to they must understand. So they read it in the language that they said, else in their country's where
//! nearly everybody there reads one ([`Tongue`]); who reads none of these, and whoever comes by a link that is nobody's, gets
//! English. Words in braces are filled in.

use domain::consent::Purpose;
use domain::content::language::Tongue;
use domain::lead::Lead;

/// All that is said in one language.
#[derive(Debug)]
pub(crate) struct Words {
    /// Its tag.
    pub language: &'static str,
    /// How it writes a moment, as `strftime` has it.
    moment: &'static str,
    purposes: [About; 4],

    /// Before a moment, a form, a place, a version of a text.
    pub on: &'static str,
    pub in_form: &'static str,
    pub at_place: &'static str,
    pub with_text: &'static str,
    pub agreed: &'static str,

    pub subject: &'static str,
    pub hello: &'static str,
    pub opening: &'static str,
    pub confirm_here: &'static str,
    pub was_me: &'static str,
    pub ignore: &'static str,

    pub please_confirm: &'static str,
    pub was_that_you: &'static str,
    pub i_confirm: &'static str,
    pub close: &'static str,
    pub confirmed: &'static str,
    pub nothing_to_confirm: &'static str,
    pub thanks: &'static str,
    pub changed_by_link: &'static str,
    pub stands: &'static str,
    pub withdrawn_since: &'static str,

    pub your_choices: &'static str,
    pub suppressed: &'static str,
    pub what_you_agreed_to: &'static str,
    pub save: &'static str,
    pub how_it_counts: &'static str,
    pub you_agreed: &'static str,
    pub never_agreed: &'static str,
    pub not_confirmed: &'static str,
    pub said_no_on: &'static str,
    pub said_no: &'static str,
    pub not_asked: &'static str,
    pub done: &'static str,
    pub done_before: &'static str,
    pub saved_waits: &'static str,
    pub saved: &'static str,
    pub unchanged: &'static str,

    pub link_ended: &'static str,
    pub nobody: &'static str,
    pub another_address: &'static str,
    pub otherwise: &'static str,
    pub otherwise_to: &'static str,
    pub otherwise_end: &'static str,
}

/// What is said of one purpose.
#[derive(Debug)]
struct About {
    title: &'static str,
    meaning: &'static str,
    end: &'static str,
}

impl Words {
    /// Gives those that a lead reads.
    pub(crate) fn of(lead: &Lead) -> &'static Self {
        let tongue = Tongue::of(&lead.attributes);
        let read =
            tongue.language().and_then(|own| ALL.into_iter().find(|words| words.language == own.base()));
        read.unwrap_or_else(Self::common)
    }

    /// Gives those for somebody of whom nothing is known.
    pub(crate) const fn common() -> &'static Self {
        &ENGLISH
    }

    const fn about(&self, purpose: Purpose) -> &About {
        let [marketing, tracking, ad_audience, phone] = &self.purposes;
        match purpose {
            Purpose::Marketing => marketing,
            Purpose::Tracking => tracking,
            Purpose::AdAudience => ad_audience,
            Purpose::Phone => phone,
        }
    }

    /// Gives what a purpose is called.
    pub(crate) const fn title(&self, purpose: Purpose) -> &'static str {
        self.about(purpose).title
    }

    /// Says what we do where somebody agreed to a purpose.
    pub(crate) const fn meaning(&self, purpose: Purpose) -> &'static str {
        self.about(purpose).meaning
    }

    /// Says what the button does that ends a purpose.
    pub(crate) const fn end(&self, purpose: Purpose) -> &'static str {
        self.about(purpose).end
    }

    /// Gives how a moment is written.
    pub(crate) const fn moment(&self) -> &'static str {
        self.moment
    }
}

const ALL: [&Words; 4] = [&ENGLISH, &GERMAN, &FRENCH, &SPANISH];

static ENGLISH: Words = Words {
    language: "en",
    moment: "%A %-d %B %Y, %H:%M %Z",
    purposes: [
        About {
            title: "Mails from us",
            meaning: "News, guides, invitations and offers by e-mail.",
            end: "Unsubscribe: no more mails from us",
        },
        About {
            title: "Recognising you on our website",
            meaning: "We see which of our pages you look at.",
            end: "No longer recognise me on your website",
        },
        About {
            title: "Our ads on other sites",
            meaning: "Networks that show ads match a code made from your address, and show you ours.",
            end: "No more ads on other sites",
        },
        About {
            title: "Calls from us",
            meaning: "We call you about what may be of use to you.",
            end: "No more calls from you",
        },
    ],
    on: "on {at}",
    in_form: " in our form “{form}”",
    at_place: " ({place})",
    with_text: ", text {text}",
    agreed: "Agreed {made}",
    subject: "Please confirm: was it you who wrote to {who}?",
    hello: "Hello,",
    opening: "somebody gave {who} this address and agreed to the following. Was that you?",
    confirm_here: "If it was you, confirm it here:",
    was_me: "Yes, that was me",
    ignore: "If it was not you, you need not do anything: without your confirmation we write you nothing of this kind.",
    please_confirm: "Please confirm",
    was_that_you: "This was agreed to with your address. Was that you?",
    i_confirm: "Yes, I confirm",
    close: "If it was not you, close this page: nothing is confirmed.",
    confirmed: "Confirmed",
    nothing_to_confirm: "Nothing to confirm",
    thanks: "Thank you, that is confirmed.",
    changed_by_link: "Every mail from us has a link by which you change this.",
    stands: "{what}: confirmed already.",
    withdrawn_since: "{what}: this was withdrawn since the mail was sent, and stays so. If you want it after all, fill in the \
                      form once more.",
    your_choices: "Your mails and your data",
    suppressed: "Your address is on our list of those that nobody may write to: no mail goes there, whatever is chosen here. \
                 Write to us if that is wrong.",
    what_you_agreed_to: "What you agreed to",
    save: "Save",
    how_it_counts: "A no counts at once: what you no longer tick ends. A yes counts at once too, if the mail with this link is less \
                    than 30 days old and you did not say no since; otherwise we ask you by mail to confirm it.",
    you_agreed: "You agreed {made}.",
    never_agreed: "You did not agree: we write to customers until they say no, by “Unsubscribe”.",
    not_confirmed: "Agreed {made}, and not confirmed yet.",
    said_no_on: "You said no on {at}.",
    said_no: "You said no.",
    not_asked: "You were not asked so far.",
    done: "Done: {what} end at once.",
    done_before: "{what} had ended already.",
    saved_waits: "Saved. What you newly ticked waits for your confirmation: we ask for it by mail, since this link is of an \
                  older mail, or of one from before you said no.",
    saved: "Saved: it counts at once.",
    unchanged: "Nothing changed.",
    link_ended: "This link has ended",
    nobody: "This link leads to nobody any more: we no longer know whom its mail went to.",
    another_address: "The mail with this link went to another address than the one that we know now.",
    otherwise: "To get no more mails from us, follow “unsubscribe” in the latest one, or answer any of them with the word stop",
    otherwise_to: " to ",
    otherwise_end: ". Somebody will see to it.",
};

static GERMAN: Words = Words {
    language: "de",
    moment: "%-d.%-m.%Y, %H:%M %Z",
    purposes: [
        About {
            title: "Nachrichten von uns",
            meaning: "Neues, Ratgeber, Einladungen und Angebote per E-Mail.",
            end: "Abmelden: keine Nachrichten mehr von uns",
        },
        About {
            title: "Wiedererkennen auf unserer Website",
            meaning: "Wir sehen, welche unserer Seiten Sie ansehen.",
            end: "Auf Ihrer Website nicht mehr wiedererkennen",
        },
        About {
            title: "Unsere Anzeigen auf anderen Seiten",
            meaning: "Netzwerke, die Anzeigen zeigen, vergleichen einen Code, der aus Ihrer Adresse gebildet ist, und zeigen \
                      Ihnen unsere.",
            end: "Keine Anzeigen mehr auf anderen Seiten",
        },
        About {
            title: "Anrufe von uns",
            meaning: "Wir rufen Sie an, wenn etwas für Sie nützlich sein kann.",
            end: "Keine Anrufe mehr von Ihnen",
        },
    ],
    on: "am {at}",
    in_form: " in unserem Formular „{form}“",
    at_place: " ({place})",
    with_text: ", Text {text}",
    agreed: "Zugestimmt {made}",
    subject: "Bitte bestätigen Sie: Haben Sie {who} geschrieben?",
    hello: "Guten Tag,",
    opening: "jemand hat {who} diese Adresse angegeben und dem Folgenden zugestimmt. Waren Sie das?",
    confirm_here: "Wenn Sie es waren, bestätigen Sie es hier:",
    was_me: "Ja, das war ich",
    ignore: "Wenn Sie es nicht waren, brauchen Sie nichts zu tun: Ohne Ihre Bestätigung schreiben wir Ihnen nichts dieser Art.",
    please_confirm: "Bitte bestätigen Sie",
    was_that_you: "Dem wurde mit Ihrer Adresse zugestimmt. Waren Sie das?",
    i_confirm: "Ja, ich bestätige das",
    close: "Wenn Sie es nicht waren, schließen Sie diese Seite: Dann ist nichts bestätigt.",
    confirmed: "Bestätigt",
    nothing_to_confirm: "Nichts zu bestätigen",
    thanks: "Danke, das ist bestätigt.",
    changed_by_link: "In jeder Nachricht von uns ist ein Link, mit dem Sie das ändern.",
    stands: "{what}: schon bestätigt.",
    withdrawn_since: "{what}: Das wurde widerrufen, seit die Nachricht abging, und bleibt so. Wenn Sie es doch wollen, füllen \
                      Sie bitte das Formular noch einmal aus.",
    your_choices: "Ihre Nachrichten und Ihre Daten",
    suppressed: "Ihre Adresse steht auf unserer Liste derer, an die niemand schreiben darf: Dorthin geht keine Nachricht, was \
                 auch immer hier gewählt wird. Schreiben Sie uns, wenn das falsch ist.",
    what_you_agreed_to: "Wozu Sie eingewilligt haben",
    save: "Speichern",
    how_it_counts: "Ein Nein gilt sofort: Was Sie nicht mehr ankreuzen, endet. Ein Ja gilt auch sofort, wenn die Nachricht mit \
                    diesem Link weniger als 30 Tage alt ist und Sie seither nicht Nein gesagt haben; sonst bitten wir Sie per \
                    E-Mail, es zu bestätigen.",
    you_agreed: "Sie haben {made} eingewilligt.",
    never_agreed: "Sie haben nicht eingewilligt: Wir schreiben Kunden, bis sie Nein sagen, mit „Abmelden“.",
    not_confirmed: "Zugestimmt {made}, noch nicht bestätigt.",
    said_no_on: "Sie haben am {at} Nein gesagt.",
    said_no: "Sie haben Nein gesagt.",
    not_asked: "Sie wurden bisher nicht gefragt.",
    done: "Erledigt, ab sofort beendet: {what}.",
    done_before: "War schon beendet: {what}.",
    saved_waits: "Gespeichert. Was Sie neu angekreuzt haben, wartet auf Ihre Bestätigung: Wir bitten per E-Mail darum, weil \
                  dieser Link aus einer älteren Nachricht ist oder aus einer von vor Ihrem Nein.",
    saved: "Gespeichert: Es gilt sofort.",
    unchanged: "Nichts hat sich geändert.",
    link_ended: "Dieser Link gilt nicht mehr",
    nobody: "Dieser Link führt zu niemandem mehr: Wir wissen nicht mehr, an wen seine Nachricht ging.",
    another_address: "Die Nachricht mit diesem Link ging an eine andere Adresse als die, die wir jetzt kennen.",
    otherwise: "Um keine Nachrichten mehr von uns zu bekommen, folgen Sie „Abmelden“ in der neuesten, oder antworten Sie auf \
                irgendeine mit dem Wort stop",
    otherwise_to: " an ",
    otherwise_end: ". Jemand kümmert sich darum.",
};

static FRENCH: Words = Words {
    language: "fr",
    moment: "%-d/%-m/%Y, %H:%M %Z",
    purposes: [
        About {
            title: "Messages de notre part",
            meaning: "Nouvelles, guides, invitations et offres par e-mail.",
            end: "Se désabonner : ne plus recevoir de messages",
        },
        About {
            title: "Vous reconnaître sur notre site",
            meaning: "Nous voyons lesquelles de nos pages vous regardez.",
            end: "Ne plus me reconnaître sur votre site",
        },
        About {
            title: "Nos annonces sur d’autres sites",
            meaning: "Des réseaux publicitaires comparent un code tiré de votre adresse et vous montrent nos annonces.",
            end: "Ne plus voir vos annonces sur d’autres sites",
        },
        About {
            title: "Appels de notre part",
            meaning: "Nous vous appelons quand quelque chose peut vous être utile.",
            end: "Ne plus recevoir d’appels",
        },
    ],
    on: "le {at}",
    in_form: " dans notre formulaire « {form} »",
    at_place: " ({place})",
    with_text: ", texte {text}",
    agreed: "Accepté {made}",
    subject: "Merci de confirmer : est-ce vous qui avez écrit à {who} ?",
    hello: "Bonjour,",
    opening: "quelqu’un a donné cette adresse à {who} et a accepté ce qui suit. Était-ce vous ?",
    confirm_here: "Si c’était vous, confirmez-le ici :",
    was_me: "Oui, c’était moi",
    ignore: "Si ce n’était pas vous, vous n’avez rien à faire : sans votre confirmation, nous ne vous écrirons rien de tel.",
    please_confirm: "Merci de confirmer",
    was_that_you: "Ceci a été accepté avec votre adresse. Était-ce vous ?",
    i_confirm: "Oui, je confirme",
    close: "Si ce n’était pas vous, fermez cette page : rien n’est confirmé.",
    confirmed: "Confirmé",
    nothing_to_confirm: "Rien à confirmer",
    thanks: "Merci, c’est confirmé.",
    changed_by_link: "Chacun de nos messages contient un lien qui permet de changer cela.",
    stands: "{what} : déjà confirmé.",
    withdrawn_since: "{what} : ceci a été retiré depuis l’envoi du message et le reste. Si vous le voulez malgré tout, \
                      remplissez le formulaire encore une fois.",
    your_choices: "Vos messages et vos données",
    suppressed: "Votre adresse est sur notre liste de celles auxquelles personne ne peut écrire : aucun message n’y va, quoi que \
                 vous choisissiez ici. Écrivez-nous si c’est une erreur.",
    what_you_agreed_to: "Ce que vous avez accepté",
    save: "Enregistrer",
    how_it_counts: "Un non compte aussitôt : ce que vous ne cochez plus prend fin. Un oui compte aussitôt lui aussi, si le \
                    message qui contient ce lien a moins de 30 jours et si vous n’avez pas dit non depuis ; sinon, nous vous \
                    demandons par e-mail de le confirmer.",
    you_agreed: "Vous avez accepté {made}.",
    never_agreed: "Vous n’avez pas donné d’accord : nous écrivons à nos clients jusqu’à ce qu’ils disent non, par « Se \
                   désabonner ».",
    not_confirmed: "Accepté {made}, pas encore confirmé.",
    said_no_on: "Vous avez dit non le {at}.",
    said_no: "Vous avez dit non.",
    not_asked: "La question ne vous a pas encore été posée.",
    done: "C’est fait, terminé dès maintenant : {what}.",
    done_before: "C’était déjà terminé : {what}.",
    saved_waits: "Enregistré. Ce que vous venez de cocher attend votre confirmation : nous vous la demandons par e-mail, parce \
                  que ce lien vient d’un message plus ancien, ou d’avant votre refus.",
    saved: "Enregistré : cela compte dès maintenant.",
    unchanged: "Rien n’a changé.",
    link_ended: "Ce lien n’est plus valable",
    nobody: "Ce lien ne mène plus à personne : nous ne savons plus à qui son message est allé.",
    another_address: "Le message qui contient ce lien est allé à une autre adresse que celle que nous connaissons maintenant.",
    otherwise: "Pour ne plus recevoir de messages de notre part, suivez « Se désabonner » dans le plus récent, ou répondez à \
                n’importe lequel par le mot stop",
    otherwise_to: " à ",
    otherwise_end: ". Quelqu’un s’en occupera.",
};

static SPANISH: Words = Words {
    language: "es",
    moment: "%-d/%-m/%Y, %H:%M %Z",
    purposes: [
        About {
            title: "Mensajes nuestros",
            meaning: "Novedades, guías, invitaciones y ofertas por correo electrónico.",
            end: "Darse de baja: no más mensajes nuestros",
        },
        About {
            title: "Reconocerle en nuestro sitio web",
            meaning: "Vemos cuáles de nuestras páginas mira.",
            end: "No reconocerme más en su sitio web",
        },
        About {
            title: "Nuestros anuncios en otros sitios",
            meaning: "Redes de publicidad comparan un código sacado de su dirección y le muestran nuestros anuncios.",
            end: "No más anuncios en otros sitios",
        },
        About {
            title: "Llamadas nuestras",
            meaning: "Le llamamos cuando algo puede serle útil.",
            end: "No más llamadas suyas",
        },
    ],
    on: "el {at}",
    in_form: " en nuestro formulario «{form}»",
    at_place: " ({place})",
    with_text: ", texto {text}",
    agreed: "Aceptado {made}",
    subject: "Confirme, por favor: ¿ha escrito usted a {who}?",
    hello: "Hola:",
    opening: "alguien ha dado esta dirección a {who} y ha aceptado lo siguiente. ¿Ha sido usted?",
    confirm_here: "Si ha sido usted, confírmelo aquí:",
    was_me: "Sí, he sido yo",
    ignore: "Si no ha sido usted, no tiene que hacer nada: sin su confirmación no le escribimos nada de este tipo.",
    please_confirm: "Confirme, por favor",
    was_that_you: "Esto se ha aceptado con su dirección. ¿Ha sido usted?",
    i_confirm: "Sí, lo confirmo",
    close: "Si no ha sido usted, cierre esta página: no queda nada confirmado.",
    confirmed: "Confirmado",
    nothing_to_confirm: "Nada que confirmar",
    thanks: "Gracias, queda confirmado.",
    changed_by_link: "Cada mensaje nuestro lleva un enlace para cambiarlo.",
    stands: "{what}: ya estaba confirmado.",
    withdrawn_since: "{what}: se ha retirado desde que se envió el mensaje, y así queda. Si aun así lo quiere, rellene el \
                      formulario otra vez.",
    your_choices: "Sus mensajes y sus datos",
    suppressed: "Su dirección está en nuestra lista de aquellas a las que nadie puede escribir: allí no va ningún mensaje, elija \
                 lo que elija aquí. Escríbanos si es un error.",
    what_you_agreed_to: "Lo que ha aceptado",
    save: "Guardar",
    how_it_counts: "Un no cuenta de inmediato: lo que deje de marcar termina. Un sí cuenta también de inmediato, si el mensaje \
                    con este enlace tiene menos de 30 días y desde entonces no ha dicho que no; si no, le pedimos por correo \
                    que lo confirme.",
    you_agreed: "Lo aceptó {made}.",
    never_agreed: "No lo ha aceptado: escribimos a nuestros clientes hasta que dicen que no, con «Darse de baja».",
    not_confirmed: "Aceptado {made}, aún sin confirmar.",
    said_no_on: "Dijo que no el {at}.",
    said_no: "Dijo que no.",
    not_asked: "Hasta ahora no se le ha preguntado.",
    done: "Hecho, terminado desde ahora: {what}.",
    done_before: "Ya había terminado: {what}.",
    saved_waits: "Guardado. Lo que acaba de marcar espera su confirmación: se la pedimos por correo, porque este enlace es de un \
                  mensaje más antiguo, o de antes de que dijera que no.",
    saved: "Guardado: cuenta desde ahora.",
    unchanged: "No ha cambiado nada.",
    link_ended: "Este enlace ya no sirve",
    nobody: "Este enlace ya no lleva a nadie: ya no sabemos a quién fue su mensaje.",
    another_address: "El mensaje con este enlace fue a otra dirección que la que conocemos ahora.",
    otherwise: "Para no recibir más mensajes nuestros, siga «Darse de baja» en el más reciente, o responda a cualquiera con la \
                palabra stop",
    otherwise_to: " a ",
    otherwise_end: ". Alguien se ocupará.",
};

/// Fills in a word.
pub(crate) fn filled(text: &str, name: &str, value: &str) -> String {
    text.replace(&format!("{{{name}}}"), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the names of what is filled in, in the order of the fields.
    fn names(words: &Words) -> Vec<String> {
        let text = format!("{words:?}");
        let names = text.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
        let names = names.map(|(name, _)| name).filter(|name| name.chars().all(char::is_alphabetic));
        names.map(str::to_owned).collect()
    }

    #[test]
    fn every_language_says_the_same_and_leaves_nothing_out() {
        assert!(names(&ENGLISH).len() > 10);
        for words in ALL {
            assert_eq!(names(words), names(&ENGLISH), "{}", words.language);
            let (own, english) = (format!("{words:?}"), format!("{ENGLISH:?}"));
            let said = own.split('"').zip(english.split('"')).skip(1).step_by(2);
            for (own, english) in said {
                // A place in brackets is one in every language.
                let same = own == english && words.language != "en" && own != " ({place})";
                assert!(!own.is_empty() && !same, "{}: {own}", words.language);
            }
        }
    }

    #[test]
    fn the_languages_are_those_of_the_built_in_letter() {
        let built_in = crate::letter::template::Template::built_in().unwrap();
        let letter: Vec<String> =
            built_in.variants.iter().map(|variant| variant.language.to_string()).collect();
        assert_eq!(ALL.map(|words| words.language).as_slice(), letter);
    }
}
