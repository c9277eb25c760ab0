// Verify.java - what Java's PKIX validator says of certificates: one case a line on standard input
// (see verifiers.mjs), one verdict a line on standard output.
import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.net.URI;
import java.security.cert.CertPathBuilder;
import java.security.cert.CertStore;
import java.security.cert.CertificateFactory;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

public class Verify {
    static List<Object> read(CertificateFactory factory, String file, boolean lists)
            throws Exception {
        try (FileInputStream in = new FileInputStream(file)) {
            return new ArrayList<Object>(
                    lists ? factory.generateCRLs(in) : factory.generateCertificates(in));
        }
    }

    static void verify(String[] of) throws Exception {
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        List<Object> things = read(factory, of[1], false);
        X509CertSelector target = new X509CertSelector();
        Set<TrustAnchor> anchors = new HashSet<>();
        target.setCertificate((X509Certificate) things.get(0));
        for (Object root : read(factory, of[2], false))
            anchors.add(new TrustAnchor((X509Certificate) root, null));
        if (!of[3].equals("-"))
            for (String file : of[3].split(","))
                things.addAll(read(factory, file, true));
        PKIXBuilderParameters parameters = new PKIXBuilderParameters(anchors, target);
        parameters.addCertStore(CertStore.getInstance("Collection",
                new CollectionCertStoreParameters(things)));
        CertPathBuilder builder = CertPathBuilder.getInstance("PKIX");
        parameters.setRevocationEnabled(false);
        if (!of[3].equals("-") || !of[4].equals("-")) {
            PKIXRevocationChecker checker =
                    (PKIXRevocationChecker) builder.getRevocationChecker();
            if (of[4].equals("-")) {
                checker.setOptions(EnumSet.of(PKIXRevocationChecker.Option.PREFER_CRLS,
                        PKIXRevocationChecker.Option.NO_FALLBACK));
            } else {
                checker.setOcspResponder(new URI(of[4]));
                checker.setOptions(EnumSet.of(PKIXRevocationChecker.Option.ONLY_END_ENTITY,
                        PKIXRevocationChecker.Option.NO_FALLBACK));
            }
            parameters.addCertPathChecker(checker);
        }
        builder.build(parameters);
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] of = line.split("\t");
            try {
                verify(of);
                System.out.println(of[0] + "\tok\t");
            } catch (Exception error) {
                Throwable why = error;
                while (why.getCause() != null)
                    why = why.getCause();
                System.out.println(of[0] + "\trefused\t" + why);
            }
        }
    }
}
